#include "sim/workload/strace_images.h"

#include <algorithm>

#include "sim/base/types.h"
#include "sim/kernel/program.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kMaxPage = 64 << 10;  // segments of arm64 programs are so far apart
constexpr std::uint64_t kFixedBase = 0x400000;
constexpr std::uint64_t kFixedEnd = 1ull << 32;  // programs that are not position-independent
// How far the top of the stack lies above the first frames: arguments, environment, auxv.
constexpr std::uint64_t kAboveFrames = 2 * kPageSize;

// The dynamic linker of glibc 2.36: where its text and data lie, seen from its relocated tables.
struct Linker {
  std::uint64_t text_below, text_pages, data_pages;
};
constexpr Linker kArm64Linker = {0x3e000, 39, 4}, kX8664Linker = {0x34000, 52, 3};
constexpr std::uint64_t kX8664End = (1ull << 47) - kPageSize;  // of user addresses

}  // namespace

// The newest program of each task while the lines are read.
struct StraceImages::Search {
  struct Program {
    ProgramTraces* traces;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> mapped;
    std::uint64_t brk = 0;
    std::uint64_t mapped_end = 0;  // the highest of `mapped`
  };
  std::map<std::uint32_t, Program> programs;
  std::size_t line = 0;
};

StraceImages::StraceImages(const std::vector<StraceLine>& lines) {
  Search search;
  for (; search.line < lines.size(); ++search.line) {
    const StraceLine& line = lines[search.line];
    if (line.kind == StraceLine::Kind::kCall) look(line, search);
  }
}

void StraceImages::look(const StraceLine& line, Search& search) {
  if (line.name == "execve" || line.name == "execveat") {
    if (!line.failed) search.programs[line.pid] = {&found_[search.line], {}};
    return;
  }
  const auto it = search.programs.find(line.pid);
  if (it == search.programs.end()) return;
  Search::Program& p = it->second;
  ProgramTraces& t = *p.traces;
  if (line.name == "brk") {
    if (t.brk == 0) t.brk = line.value();
    p.brk = line.value();
  } else if (line.name == "mmap" && !line.failed) {
    const std::uint64_t start = line.value();
    p.mapped.emplace_back(start, start + align_up(line.argument(1), kPageSize));
    p.mapped_end = std::max(p.mapped_end, p.mapped.back().second);
  } else if (line.name == "mprotect" && line.has(2, "PROT_READ") && !line.has(2, "PROT_WRITE") &&
             !line.has(2, "PROT_EXEC")) {
    const std::uint64_t start = line.argument(0);
    const bool seen = std::any_of(p.mapped.begin(), p.mapped.end(), [&](const auto& m) {
      return m.first <= start && start < m.second;
    });
    if (seen) t.read_only.emplace_back(start, start + align_up(line.argument(1), kPageSize));
    if (seen || (t.brk <= start && start < p.brk)) return;
    const std::uint64_t first = p.mapped.empty() ? ~0ull : p.mapped.front().first;
    const bool near = std::max(start, first) - std::min(start, first) < kPudSize;
    if (near && t.linker == 0) t.linker = start;
    if (!near && t.relro == 0) {
      t.relro = start;
      t.relro_end = start + align_up(line.argument(1), kPageSize);
    }
  }
  // The stack lies above everything else.
  const std::uint64_t above = std::max({t.linker, t.relro, p.mapped_end});
  if (above == 0) return;
  for (std::size_t i = 0; i < line.arguments.size(); ++i) {
    const std::uint64_t n = line.argument(i);
    if (n > above + kPmdSize && n < 1ull << 48) t.stack = std::max(t.stack, n);
  }
}

std::uint64_t ProgramTraces::read_only_end(std::uint64_t start) const {
  const auto it = std::find_if(read_only.begin(), read_only.end(),
                               [&](const auto& range) { return range.first == start; });
  return it == read_only.end() ? 0 : it->second;
}

const ProgramTraces& StraceImages::of(std::size_t line) const {
  static const ProgramTraces kNothing;
  const auto it = found_.find(line);
  return it == found_.end() ? kNothing : it->second;
}

Image place_image(const ProgramSize& size, const ProgramTraces& traces) {
  Image image;
  std::uint64_t relro = traces.relro, relro_end = traces.relro_end;
  if (relro == 0) {  // a static program without such tables: its segments lie below the break
    const std::uint64_t below = align_up(size.data + size.zero, kPageSize) + kMaxPage;
    if (traces.brk < below + align_up(size.text, kMaxPage) + kMaxPage) return image;
    relro = relro_end = align_down(traces.brk - below, kMaxPage);
  }
  const auto add = [&](std::uint64_t start, std::uint64_t end, std::uint8_t prot) -> ImagePart& {
    ImagePart part;
    part.area.start = start;
    part.area.end = end;
    part.area.prot = prot;
    part.area.file = true;
    part.area.program = true;
    image.parts.push_back(part);
    return image.parts.back();
  };
  // One page after another, whatever the place of the first byte in its page.
  constexpr std::uint64_t kSomewhere = kPageSize / 2;
  std::uint64_t base = kFixedBase, text_end = kFixedBase + align_up(size.text, kPageSize);
  if (relro >= kFixedEnd || text_end > relro) {
    base = align_down(relro - std::min(relro, size.text), kMaxPage);
    text_end = std::min(relro, base + align_up(size.text, kPageSize));
  }
  if (base == 0) return image;
  if (base < text_end) add(base, text_end, kProtRead | kProtExec);
  std::uint64_t data_end = relro + align_up(size.data + kSomewhere, kPageSize);
  if (data_end <= relro_end) data_end = relro_end + kPageSize;
  ImagePart& data = add(relro, data_end, kProtRead | kProtWrite);
  data.file_offset = relro - base;
  data.area.cleared = size.zero != 0;
  data.area.read_only_end = relro_end;
  data.area.fixed = base == kFixedBase && traces.linker != 0;
  data.area.loaded = traces.linker != 0;
  const std::uint64_t zero_end =
      data_end + align_up(size.zero - std::min(size.zero, kSomewhere), kPageSize);
  if (data_end < zero_end) {
    ImagePart& zero = add(data_end, zero_end, kProtRead | kProtWrite);
    zero.area.file = false;
    zero.area.zero = true;
  }
  if (traces.linker != 0) {
    const Linker& linker = traces.linker < kX8664End ? kX8664Linker : kArm64Linker;
    const std::uint64_t text = traces.linker - linker.text_below;
    ImagePart& code = add(text, text + linker.text_pages * kPageSize, kProtRead | kProtExec);
    code.linker = code.area.all = true;
    ImagePart& tables =
        add(traces.linker, traces.linker + linker.data_pages * kPageSize, kProtRead | kProtWrite);
    tables.linker = tables.area.cleared = true;
    tables.file_offset = linker.text_below;
    image.vdso = traces.linker - kernel::kVdsoPages * kPageSize;
  }
  image.heap = traces.brk;
  const std::uint64_t highest = std::max(traces.linker, traces.stack);
  image.user_end =
      highest != 0 && highest < kX8664End ? kX8664End : kernel::ProgramImage::kStackTop;
  image.stack_top = traces.stack == 0 ? image.user_end - kPmdSize
                                      : std::min(image.user_end,
                                                 align_up(traces.stack, kPageSize) + kAboveFrames);
  return image;
}

}  // namespace kpksim::workload
