// Which function reads which call.

#include <fmt/core.h>

#include <unordered_map>

#include "sim/workload/strace_reader.h"

namespace kpksim::workload {

StraceReader::Handler StraceReader::handler_of(std::string_view call) {
  using R = StraceReader;
  static const std::unordered_map<std::string_view, Handler> kHandlers = {
      {"fork", &R::make_task},
      {"vfork", &R::make_task},
      {"clone", &R::make_task},
      {"clone2", &R::make_task},
      {"clone3", &R::make_task},
      {"execve", &R::execve},
      {"execveat", &R::execve},
      {"wait4", &R::wait},
      {"waitpid", &R::wait},
      {"waitid", &R::wait},
      {"mmap", &R::mmap},
      {"munmap", &R::munmap},
      {"mprotect", &R::mprotect},
      {"pkey_mprotect", &R::mprotect},
      {"madvise", &R::madvise},
      {"mremap", &R::mremap},
      {"remap_file_pages", &R::remap_file_pages},
      {"brk", &R::brk},
      {"mlock", &R::mlock},
      {"mlock2", &R::mlock},
      {"munlock", &R::mlock},
      {"mlockall", &R::mlockall},
      {"munlockall", &R::mlockall},
      {"process_madvise", &R::process_madvise},
      {"mount", &R::mount},
      {"statfs", &R::statfs},
      {"fstatfs", &R::statfs},
      {"shmget", &R::shmget},
      {"shmctl", &R::shmctl},
      {"shmat", &R::shmat},
      {"shmdt", &R::shmdt},
      {"open", &R::open},
      {"openat", &R::open},
      {"openat2", &R::open},
      {"creat", &R::open},
      {"memfd_create", &R::open},
      {"dup", &R::duplicate},
      {"dup2", &R::duplicate},
      {"dup3", &R::duplicate},
      {"fcntl", &R::fcntl},
      {"fcntl64", &R::fcntl},
      {"close", &R::close},
      {"pidfd_open", &R::pidfd_open},
      {"ftruncate", &R::ftruncate},
      {"ftruncate64", &R::ftruncate},
      {"truncate", &R::truncate},
      {"truncate64", &R::truncate},
      {"fallocate", &R::fallocate},
      {"unlink", &R::remove},
      {"unlinkat", &R::remove},
      {"rename", &R::rename},
      {"renameat", &R::rename},
      {"renameat2", &R::rename},
      {"close_range", &R::close_range},
      {"prctl", &R::prctl},
      {"read", &R::data_in},
      {"pread64", &R::data_in},
      {"readv", &R::data_in},
      {"preadv", &R::data_in},
      {"preadv2", &R::data_in},
      {"recv", &R::data_in},
      {"recvfrom", &R::data_in},
      {"recvmsg", &R::data_in},
      {"recvmmsg", &R::data_in},
      {"fstat", &R::status},
      {"fstat64", &R::status},
      {"newfstatat", &R::status},
      {"fstatat64", &R::status},
      {"statx", &R::status},
      {"stat", &R::status_of_path},
      {"stat64", &R::status_of_path},
      {"lstat", &R::status_of_path},
      {"lstat64", &R::status_of_path},
      {"lseek", &R::seek},
      {"access", &R::quiet},
      {"faccessat", &R::quiet},
      {"faccessat2", &R::quiet},
      {"readlink", &R::quiet},
      {"readlinkat", &R::quiet},
      {"fadvise64", &R::quiet}};
  const auto it = kHandlers.find(call);
  return it == kHandlers.end() ? nullptr : it->second;
}

// Calls that the dynamic linker mixes with its mmaps: no sign that it has begun to use them.
void StraceReader::quiet(const StraceLine&) { syscall(); }

void StraceReader::prctl(const StraceLine& line) {
  syscall();
  for (const char* const of_memory : {"PR_SET_MM", "PR_SET_VMA"}) {
    if (line.has(0, of_memory)) unclear(fmt::format("call without a model: prctl({})", of_memory));
  }
  if (line.has(0, "PR_SET_THP_DISABLE")) space().no_huge_pages = line.argument(1) != 0;
}

}  // namespace kpksim::workload
