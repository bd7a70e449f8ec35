// The calls of a trace that change memory or decide which file a descriptor stands for.

#include <fmt/format.h>

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

bool is_raw(std::string_view flags) {
  return !flags.empty() && flags.front() >= '0' && flags.front() <= '9' &&
         flags.find("/*") == std::string_view::npos;
}

std::uint8_t prot_of(const StraceLine& line, std::size_t i) {
  return static_cast<std::uint8_t>((line.has(i, "PROT_READ") ? kProtRead : 0) |
                                   (line.has(i, "PROT_WRITE") ? kProtWrite : 0) |
                                   (line.has(i, "PROT_EXEC") ? kProtExec : 0));
}

int descriptor_of(std::uint64_t value) { return static_cast<int>(value); }

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
      {"munmap", &R::munmap},
      {"mprotect", &R::mprotect},
      {"pkey_mprotect", &R::mprotect},
      {"madvise", &R::madvise},
      {"mremap", &R::mremap},
      {"brk", &R::brk},
      {"shmget", &R::shmget},
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
      {"ftruncate", &R::ftruncate},
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
      {"fstat", &R::quiet},
      {"fstat64", &R::quiet},
      {"newfstatat", &R::quiet},
      {"fstatat64", &R::quiet},
      {"statx", &R::quiet},
      {"lseek", &R::quiet},
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

bool StraceReader::range(const StraceLine& line) {
  const std::uint64_t start = line.argument(0), length = line.argument(1);
  if (line.orphan || !line.is_number(0) || !line.is_number(1)) {
    unclear(line.orphan ? "call whose beginning is missing" : "memory call with unknown arguments");
  } else if (start + length < start || start + length > kUserEnd) {
    unclear("memory call beyond 48-bit addresses");
  } else if (length != 0) {
    return true;
  }
  syscall();
  return false;
}

void StraceReader::map(StraceArea area, std::uint32_t file, std::uint64_t offset) {
  Operation& op = emit(OpKind::kMmap, pid_);
  op.address = area.start;
  op.length = area.end - area.start;
  op.prot = area.prot;
  op.shared = area.shared;
  op.file = area.file;
  op.file_id = file;
  op.file_offset = offset;
  space().frees = false;
  const bool huge_pages = rule_.huge_pages && !space().no_huge_pages;
  if (!huge_pages && !area.file && !area.shared) op.advice = Advice::kNoHugepage;
  space().map(area);
}

void StraceReader::mmap(const StraceLine& line) {
  if (!range(line)) return;
  const bool whole = line.arguments.size() == 6;
  if (whole && is_raw(line.text(2)) && is_raw(line.text(3))) {
    throw InputError(
        fmt::format("{}:{}: flags as numbers ('{}'); expected names, record without -X raw",
                    workload_.source, line_, line.text(2)));
  }
  if (!whole || is_raw(line.text(2)) || is_raw(line.text(3))) {
    unclear("memory call with unknown arguments");
    return syscall();
  }
  StraceArea area;
  area.start = line.value();
  area.end = area.start + align_up(line.argument(1), kPageSize);
  if (area.start == 0 || area.end > kUserEnd) {
    unclear("memory call beyond 48-bit addresses");
    return syscall();
  }
  area.prot = prot_of(line, 2);
  area.file = !line.has(3, "MAP_ANONYMOUS") && !line.has(3, "MAP_ANON");
  area.shared = line.has(3, "MAP_SHARED") || line.has(3, "MAP_SHARED_VALIDATE");
  area.stack = line.has(3, "MAP_STACK");
  area.zero = !area.file && line.has(3, "MAP_FIXED");  // a loader's, behind a file's data
  area.populate = line.has(3, "MAP_POPULATE") || line.has(3, "MAP_LOCKED");
  if (const ProgramTraces* traces = tasks_[pid_].traces; area.file && traces != nullptr) {
    area.read_only_end = traces->read_only_end(area.start);
  }
  map(area, area.file ? file_of(line.text(4)) : 0, line.argument(5));
}

std::uint32_t StraceReader::file_of(std::string_view descriptor) {
  std::string key(StraceLine::path_of(descriptor));
  const int number = descriptor_of(strace_number(descriptor).value_or(0));
  if (key.empty()) {
    const std::string* path = files().path(number);
    key = path != nullptr ? *path : fmt::format("descriptor {} of {}", number, pid_);
  }
  return file_ids_.try_emplace(key, static_cast<std::uint32_t>(file_ids_.size() + 1)).first->second;
}

void StraceReader::munmap(const StraceLine& line) {
  if (!range(line)) return;
  const std::uint64_t start = line.argument(0);
  const std::uint64_t end = start + align_up(line.argument(1), kPageSize);
  if (space().waits_whole(start, end)) settle(pid_);  // mapped, used and unmapped
  std::vector<PageTouch> freed = space().walk(start, end);
  space().use_up_large(start, end, freed);
  touch(pid_, freed);
  space().frees = !freed.empty();
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = start;
  op.length = end - start;
  space().unmap(start, end);
}

void StraceReader::mprotect(const StraceLine& line) {
  if (!range(line)) return;
  const std::uint8_t prot = prot_of(line, 2);
  // Relocated tables become read-only: the linker has written them.
  if (prot != kProtNone && (prot & kProtWrite) == 0) settle(pid_);
  Operation& op = emit(OpKind::kMprotect, pid_);
  op.address = line.argument(0);
  op.length = align_up(line.argument(1), kPageSize);
  op.prot = prot;
  space().protect(op.address, op.address + op.length, prot);
}

void StraceReader::madvise(const StraceLine& line) {
  if (!range(line)) return;
  settle(pid_);
  const std::uint64_t start = line.argument(0), length = align_up(line.argument(1), kPageSize);
  const bool write = line.has(2, "MADV_POPULATE_WRITE");
  if (line.has(2, "MADV_DONTNEED") || line.has(2, "MADV_FREE")) {
    std::vector<PageTouch> used;
    space().use_up(start, start + length, used);
    touch(pid_, used);
  }
  Operation& op = emit(OpKind::kMadvise, pid_);
  op.address = start;
  op.length = length;
  op.advice = line.has(2, "MADV_DONTNEED") || line.has(2, "MADV_DONTNEED_LOCKED")
                  ? Advice::kDontNeed
              : line.has(2, "MADV_FREE")       ? Advice::kFree
              : line.has(2, "MADV_HUGEPAGE")   ? Advice::kHugepage
              : line.has(2, "MADV_NOHUGEPAGE") ? Advice::kNoHugepage
                                               : Advice::kOther;
  if (op.advice == Advice::kDontNeed) space().discard(start, start + length);
  if (!write && !line.has(2, "MADV_POPULATE_READ")) return;
  touch(pid_, {{start, length, kPageSize, write}});
  if (write) space().wrote(start, start + length);
}

void StraceReader::mremap(const StraceLine& line) {
  if (!range(line)) return;
  settle(pid_);
  const std::uint64_t new_length = align_up(line.argument(2), kPageSize);
  if (new_length == 0 || line.has(3, "MREMAP_DONTUNMAP")) {
    unclear("mremap that leaves the old mapping");
    return syscall();
  }
  Operation& op = emit(OpKind::kMremap, pid_);
  op.address = line.argument(0);
  op.length = align_up(line.argument(1), kPageSize);
  op.new_length = new_length;
  op.new_address = line.value();
  space().move(op.address, op.length, op.new_address, new_length);
}

// The heap lies where the recorded program had it, which is not where the model's own exec puts
// one: what brk adds and takes is mapped and unmapped as the kernel's brk does it.
void StraceReader::brk(const StraceLine& line) {
  settle(pid_);
  const std::uint64_t old = space().brk, now = line.value();
  space().brk = now;
  const std::uint64_t from = align_up(old, kPageSize), to = align_up(now, kPageSize);
  if (line.argument(0) == 0 && old != 0 && old != now) unclear("break that no call has set");
  // Only a question: if the answer is new, a call that set it is missing.
  if (line.argument(0) == 0 || old == 0 || from == to) return syscall();
  if (from < to) {
    StraceArea area;
    area.start = from;
    area.end = to;
    area.prot = kProtRead | kProtWrite;
    area.heap = true;
    return map(area, 0, 0);
  }
  if (rule_.touch) {
    touch(pid_, {{to, kPageSize, kPageSize, true}});  // the heap had reached up to here
  }
  space().frees = true;
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = to;
  op.length = from - to;
  space().unmap(to, from);
}

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

void StraceReader::shmget(const StraceLine& line) {
  segment_bytes_[line.value()] = align_up(line.argument(1), kPageSize);
  syscall();
}

void StraceReader::shmat(const StraceLine& line) {
  const auto segment = segment_bytes_.find(line.argument(0));
  if (segment == segment_bytes_.end() || segment->second == 0 || line.value() == 0) {
    unclear("shared memory of unknown size");
    return syscall();
  }
  StraceArea area;
  area.start = line.value();
  area.end = area.start + segment->second;
  area.prot = kProtRead;
  if (!line.has(2, "SHM_RDONLY")) area.prot |= kProtWrite;
  area.shared = area.file = true;
  attached_bytes_[area.start] = segment->second;
  const auto id = static_cast<std::uint32_t>(file_ids_.size() + 1);
  map(area, file_ids_.try_emplace(fmt::format("segment {}", segment->first), id).first->second, 0);
}

void StraceReader::shmdt(const StraceLine& line) {
  const auto attached = attached_bytes_.find(line.argument(0));
  if (attached == attached_bytes_.end()) return syscall();
  settle(pid_);
  Operation& op = emit(OpKind::kMunmap, pid_);
  op.address = attached->first;
  op.length = attached->second;
  space().unmap(op.address, op.address + op.length);
}

void StraceReader::open(const StraceLine& line) {
  syscall();
  const std::size_t at = line.name.starts_with("openat") ? 1 : 0;
  std::string path(StraceLine::path_of(line.result));
  if (path.empty()) path = line.text(at);
  if (path.size() > 2 && path.front() == '"') path = path.substr(1, path.find('"', 1) - 1);
  if (line.name == "memfd_create") path = fmt::format("memory file of line {}", line_);
  const bool empty = line.has("O_TRUNC") || line.has("O_EXCL") || line.has("O_APPEND") ||
                     line.name == "creat" || line.name == "memfd_create" ||
                     (line.has("O_CREAT") && absent_.contains(path));
  absent_.erase(path);
  files().open(descriptor_of(line.value()), path, line.has("O_CLOEXEC") || line.has("MFD_CLOEXEC"),
               empty && !path.starts_with("/dev/"));
}

void StraceReader::duplicate(const StraceLine& line) {
  syscall();
  files().duplicate(descriptor_of(line.argument(0)), descriptor_of(line.value()),
                    line.has(2, "O_CLOEXEC"));
}

void StraceReader::fcntl(const StraceLine& line) {
  syscall();
  const int descriptor = descriptor_of(line.argument(0));
  if (line.has(1, "F_DUPFD") || line.has(1, "F_DUPFD_CLOEXEC")) {
    files().duplicate(descriptor, descriptor_of(line.value()), line.has(1, "F_DUPFD_CLOEXEC"));
  } else if (line.has(1, "F_SETFD")) {
    files().set_close_on_exec(descriptor, line.has(2, "FD_CLOEXEC") || line.argument(2) == 1);
  }
}

void StraceReader::close(const StraceLine& line) {
  syscall();
  files().close(descriptor_of(line.argument(0)));
}

void StraceReader::ftruncate(const StraceLine& line) {
  syscall();
  if (line.argument(1) == 0) files().truncate(descriptor_of(line.argument(0)));
}

void StraceReader::close_range(const StraceLine& line) {
  syscall();
  if (line.has(2, "CLOSE_RANGE_CLOEXEC")) return;
  files().close_range(descriptor_of(line.argument(0)),
                      descriptor_of(std::min<std::uint64_t>(line.argument(1), 1u << 30)));
}

void StraceReader::prctl(const StraceLine& line) {
  syscall();
  if (line.has(0, "PR_SET_THP_DISABLE")) space().no_huge_pages = line.argument(1) != 0;
}

void StraceReader::data_in(const StraceLine& line) {
  syscall();
  if (line.is_number(2) && line.argument(2) >= kLargeRequest) {
    settle(pid_);
    std::vector<PageTouch> data;
    space().read_into_large(line.value(), data);
    touch(pid_, data);
  }
  if (line.value() == 0 || !space().has_copies()) return;
  settle(pid_);
  touch(pid_, space().random(rule_.store_pages, random_));
}

}  // namespace kpksim::workload
