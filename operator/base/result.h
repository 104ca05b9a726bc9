// Result<T, E>: a value or a typed error. The only way an error crosses a library's border; there
// is no exception to catch. Discarding one is a compile error.
#pragma once

#include <cassert>
#include <optional>
#include <utility>
#include <variant>

namespace pooler {

template <class E>
struct Failure {
  E error;
};

// Result<T, E> r = failure(E{...});
template <class E>
[[nodiscard]] Failure<std::decay_t<E>> failure(E&& error) {
  return {std::forward<E>(error)};
}

template <class T, class E>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  template <class F>
  Result(Failure<F> failed)  // NOLINT: implicit by design
      : state_(std::in_place_index<1>, E(std::move(failed.error))) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Asking for the side that isn't there is a broken invariant.
  [[nodiscard]] T& value() & { return checked<0>(state_); }
  [[nodiscard]] const T& value() const& { return checked<0>(state_); }
  [[nodiscard]] T&& value() && { return std::move(checked<0>(state_)); }
  [[nodiscard]] const E& error() const { return checked<1>(state_); }

  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

 private:
  template <std::size_t I, class V>
  static auto& checked(V& state) {
    auto* side = std::get_if<I>(&state);
    assert(side != nullptr);
    return *side;
  }
  std::variant<T, E> state_;
};

struct Unit {};  // the value of an operation that has none

}  // namespace pooler
