#include "pooler/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace pooler::ring {
namespace {

namespace fs = std::filesystem;

// Everything that the child needs, made before the fork: after it, in a process of many threads,
// only system calls are allowed.
struct Prepared {
  std::vector<std::pair<std::string, std::string>> binds;  // machine -> machine, below the root
  std::vector<std::string> empty;                          // get a tmpfs
  std::vector<char*> arguments;
  int log = -1;
};

[[noreturn]] void give_up(const char* what) {
  const char* why = std::strerror(errno);
  for (const char* text : {what, ": ", why, "\n"}) {
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  _exit(126);
}

[[noreturn]] void become(const Program& program, const Prepared& prepared) {
  dup2(prepared.log, STDOUT_FILENO);
  dup2(prepared.log, STDERR_FILENO);
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0) give_up("unshare (root is needed)");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) give_up("mount private");
  for (const auto& [from, to] : prepared.binds) {
    if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) != 0) give_up(to.c_str());
  }
  for (const std::string& path : prepared.empty) {
    if (mount("tmpfs", path.c_str(), "tmpfs", 0, "mode=1777") != 0) give_up(path.c_str());
  }
  if (chroot(program.root.c_str()) != 0 || chdir("/") != 0) give_up("chroot");
  if (setgroups(0, nullptr) != 0 || setgid(program.user) != 0 || setuid(program.user) != 0) {
    give_up("setuid");
  }
  // After the change of user, which would undo it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::array<char*, 2> environment = {const_cast<char*>("LANG=C.UTF-8"), nullptr};
  execve(prepared.arguments[0], prepared.arguments.data(), environment.data());
  give_up("execve");
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

int loopback_socket(int port, sockaddr_in& where) {
  where = {};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

}  // namespace

Process::Process(const Program& program) {
  Prepared prepared;
  prepared.binds.emplace_back("/dev", program.root + "/dev");
  for (const auto& bind : program.binds) {
    fs::create_directories(program.root + bind.to);
    prepared.binds.emplace_back(bind.from, program.root + bind.to);
  }
  prepared.empty = {program.root + "/tmp", program.root + "/dev/shm"};
  prepared.arguments = pointers(program.command);
  prepared.log = open(program.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (prepared.log < 0) throw std::runtime_error("cannot write " + program.log);
  pid_ = fork();
  if (pid_ == 0) become(program, prepared);
  close(prepared.log);
  if (pid_ < 0) throw std::runtime_error("cannot fork");
}

Process::~Process() {
  if (running()) {
    signal(SIGKILL);
    wait();
  }
}

bool Process::running() {
  if (pid_ < 0) return false;
  if (waitpid(pid_, &status_, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void Process::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

int Process::wait() {
  if (pid_ > 0) waitpid(pid_, &status_, 0);
  pid_ = -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

void run(const std::vector<std::string>& command) {
  const std::vector<char*> arguments = pointers(command);
  const pid_t pid = fork();
  if (pid == 0) {
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) throw std::runtime_error(command[0] + " failed");
}

std::string root_from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    throw std::runtime_error(
        std::string(name) +
        " is not set: it names the folder that Postgres or PgBouncer is run from. "
        "tests/pooler/run.sh (or ./x test pooler) makes these folders and sets it.");
  }
  if (!fs::is_directory(value)) throw std::runtime_error(std::string(name) + " is no folder");
  if (geteuid() != 0) throw std::runtime_error("root is needed to run programs from another root");
  return value;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = fs::absolute("pooler-ring.XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  fs::permissions(name, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

int free_port() {
  sockaddr_in where;
  const int fd = loopback_socket(0, where);
  socklen_t length = sizeof(where);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&where), length) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&where), &length) == 0;
  close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(where.sin_port);
}

bool answers(int port) {
  sockaddr_in where;
  const int fd = loopback_socket(port, where);
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0;
  close(fd);
  return connected;
}

std::string read_file(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace pooler::ring
