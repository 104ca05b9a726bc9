// A program of another Debian, run from an unpacked root: chroot in mount and IPC namespaces of its
// own, so that nothing of it stays behind, whatever happens to the test. Needs root.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pooler::ring {

struct Program {
  std::string root;
  std::vector<std::string> command;  // absolute path first; no PATH, an empty environment but LANG
  uid_t user = 0;                    // and group
  struct Bind {
    std::string from;  // folder of the machine
    std::string to;    // where the program sees it; made in the root if missing
  };
  std::vector<Bind> binds;
  std::string log;  // file of the machine; appended to
};

// Throws std::runtime_error where the machine doesn't let it begin.
class Process {
 public:
  explicit Process(const Program& program);
  ~Process();  // kills it
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] bool running();
  void signal(int number) const;
  // Waits for its end; its exit code, or 128 + the signal's number.
  int wait();

 private:
  pid_t pid_ = -1;
  int status_ = 0;
};

// Runs a program of this machine to its end; throws unless it succeeds.
void run(const std::vector<std::string>& command);

// The value of an environment variable that names an unpacked root; throws where it is not set.
[[nodiscard]] std::string root_from_environment(const char* name);

// A folder in the working directory that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A TCP port of loopback that nobody listens on.
[[nodiscard]] int free_port();
// Somebody listens there.
[[nodiscard]] bool answers(int port);

[[nodiscard]] std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& bytes);

}  // namespace pooler::ring
