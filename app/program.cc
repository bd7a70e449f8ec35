#include "app/program.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include "sim/base/output_file.h"

namespace kpksim::app {
namespace {

// Files without names rather than pipes: nobody waits for anybody, however much is written.
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[noreturn]] void fail() {
  throw OutputError(std::string("a temporary file: ") + std::strerror(errno));
}

File temporary() {
  File file(std::tmpfile(), std::fclose);
  if (!file) fail();
  return file;
}

std::string text_of(const File& file) {
  std::string text;
  char buffer[1 << 14];
  std::rewind(file.get());
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;)
    text.append(buffer, n);
  return text;
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  constexpr int kSignalled = 128;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
}

}  // namespace

std::optional<Finished> run_program(const std::vector<std::string>& command,
                                    const std::string& input) {
  const File in = temporary(), out = temporary(), errors = temporary();
  if (std::fwrite(input.data(), 1, input.size(), in.get()) != input.size()) fail();
  if (std::fflush(in.get()) != 0) fail();
  std::rewind(in.get());
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, fileno(in.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, fileno(out.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, fileno(errors.get()), STDERR_FILENO);
  // This program ignores SIGPIPE (app/main.cc); another expects what it is used to.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  sigaddset(&usual, SIGXFSZ);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return std::nullopt;
  const int status = wait_for(child);
  return Finished{status, text_of(out), text_of(errors)};
}

}  // namespace kpksim::app
