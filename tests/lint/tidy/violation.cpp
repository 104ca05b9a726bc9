// One violation for each rule that people trip over. The line after "expected:" is what clang-tidy
// has to say.
#include <string>
#include <utility>

namespace seeded {

class Counter {
 public:
  int readCount() const { return count; }  // expected: invalid case style for method 'readCount'

 private:
  int count = 0;  // expected: invalid case style for private member 'count'
};

constexpr int limit = 3;  // expected: invalid case style for constexpr variable 'limit'

struct lower_case {};  // expected: invalid case style for struct 'lower_case'

inline std::string twice(std::string text) {
  std::string other = std::move(text);
  return other + text;  // expected: 'text' used after it was moved
}

}  // namespace seeded
