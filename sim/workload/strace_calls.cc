// Which function reads which call, and the program that execve maps.

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "sim/base/error.h"
#include "sim/base/text_input.h"
#include "sim/base/types.h"
#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kUserEnd = 1ull << 48;
constexpr std::uint64_t kMaxImage = 1ull << 32;

}  // namespace

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
      {"mmap2", &R::mmap},
      {"old_mmap", &R::mmap},
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

void StraceReader::program(const StraceLine& line) {
  const auto path = line.text(0);
  const auto text = line.field("text"), data = line.field("data"), zero = line.field("zero");
  if (path.size() < 2 || !text || !data || !zero || *text + *data + *zero > kMaxImage) {
    return unclear("'# program' line without its sizes");
  }
  programs_[std::string(path)] = {*text, *data, *zero};
}

void StraceReader::read_sizes(const std::string& path) {
  const std::string text = read_text_file(path);
  StraceLineParser parser;
  std::uint32_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const StraceLine parsed = parser.parse(std::string_view(text).substr(at, end - at));
    at = end + 1;
    ++number;
    if (parsed.kind == StraceLine::Kind::kEmpty) continue;
    const std::size_t known = programs_.size();
    if (parsed.kind == StraceLine::Kind::kProgram) program(parsed);
    if (programs_.size() == known) {
      throw InputError(fmt::format(
          "{}:{}: expected a line like '# program \"/bin/true\" text=N data=N zero=N', once for "
          "each path",
          path, number));
    }
  }
}

std::uint32_t StraceReader::image(const std::string& path) {
  const auto kb = [](unsigned n) { return std::uint64_t{n} << 10; };
  ProgramSize size{kb(rule_.image_text_kb), kb(rule_.image_data_kb), kb(rule_.image_zero_kb)};
  auto known = programs_.find(path);
  // Where /bin is a link to /usr/bin.
  const std::string quoted_usr = path.starts_with("\"/usr/")
                                     ? "\"" + path.substr(5)
                                     : "\"/usr" + path.substr(path.empty() ? 0 : 1);
  if (known == programs_.end()) known = programs_.find(quoted_usr);
  if (known != programs_.end()) size = known->second;
  if (size.text + size.data + size.zero == 0) return 0;
  Image image = place_image(size, images_->of(line_));
  if (image.parts.empty()) {
    unclear("execve of which no later call shows the place");
    return 0;
  }
  const auto id = [&](const std::string& file) {
    return file_ids_.try_emplace(file, static_cast<std::uint32_t>(file_ids_.size() + 1))
        .first->second;
  };
  kernel::MappedProgram loaded;
  for (const ImagePart& part : image.parts) {
    kernel::Vma vma;
    vma.start = part.area.start;
    vma.end = part.area.end;
    vma.read = true;
    vma.write = (part.area.prot & kProtWrite) != 0;
    vma.exec = (part.area.prot & kProtExec) != 0;
    vma.file = part.area.file;
    if (vma.file) vma.file_id = id(part.linker ? "the dynamic linker" : path);
    vma.file_offset = part.file_offset;
    if (!rule_.huge_pages && !vma.file) vma.huge = kernel::HugeAdvice::kNoHugepage;
    loaded.segments.push_back(vma);
  }
  loaded.heap = image.heap;
  loaded.vdso = image.vdso;
  loaded.user_end = image.user_end;
  loaded.stack_top = image.stack_top;
  workload_.images.push_back(std::move(loaded));
  placed_.push_back(std::move(image));
  return static_cast<std::uint32_t>(placed_.size());
}

// The linker runs, then the program.
void StraceReader::start_program(std::uint32_t number) {
  const Image& image = placed_[number - 1];
  const std::uint64_t bytes = rule_.stack_pages * kPageSize;
  const std::uint64_t stack = image.stack_top - kPageSize - bytes;
  if (bytes != 0) touch(pid_, {{stack, bytes + kPageSize, kPageSize, true}});
  if (image.vdso != 0 && rule_.touch) touch(pid_, {{image.vdso, kPageSize, kPageSize, false}});
  for (const bool linker : {true, false}) {
    for (const ImagePart& part : image.parts) {
      if (part.linker == linker) space().map(part.area);
    }
    settle(pid_);
  }
  space().wrote(stack, stack + bytes + kPageSize);
}

void StraceReader::prctl(const StraceLine& line) {
  syscall();
  for (const char* const of_memory : {"PR_SET_MM", "PR_SET_VMA"}) {
    if (line.has(0, of_memory)) unclear(fmt::format("call without a model: prctl({})", of_memory));
  }
  if (line.has(0, "PR_SET_THP_DISABLE")) space().no_huge_pages = line.argument(1) != 0;
}

}  // namespace kpksim::workload
