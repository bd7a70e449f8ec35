#include "sim/workload/strace_programs.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/printable.h"
#include "sim/base/text_input.h"
#include "sim/workload/strace_reader.h"
#include "sim/workload/strace_recording.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kMaxImage = 1ull << 32;
constexpr unsigned kMaxLinks = 40;  // MAXSYMLINKS

// Pushes the parts of a path, the first one last.
void push_parts(std::string_view path, std::vector<std::string>& parts) {
  while (!path.empty()) {
    const std::size_t slash = path.rfind('/');
    const std::size_t start = slash == std::string_view::npos ? 0 : slash + 1;
    if (start != path.size()) parts.emplace_back(path.substr(start));
    path = path.substr(0, start == 0 ? 0 : start - 1);
  }
}

}  // namespace

// The merged /usr, which all distributions have; what a list says of these paths comes first.
KnownPrograms::KnownPrograms()
    : links_{{"/bin", "usr/bin"}, {"/sbin", "usr/sbin"}, {"/lib", "usr/lib"}} {}

bool KnownPrograms::add(const std::string& path, const ProgramSize& size) {
  return sizes_.insert_or_assign(path, size).second;
}

bool KnownPrograms::link(const std::string& path, const std::string& target) {
  return links_.insert_or_assign(path, target).second;
}

std::string KnownPrograms::resolved(const std::string& path) const {
  std::string done;
  std::vector<std::string> left;
  push_parts(path, left);
  for (unsigned links = 0; !left.empty();) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      done.resize(std::min(done.size(), done.rfind('/')));
      continue;
    }
    const auto link = links_.find(done + "/" + part);
    if (link == links_.end()) {
      done += "/" + part;
      continue;
    }
    if (++links > kMaxLinks) return {};
    if (link->second.starts_with('/')) done.clear();
    push_parts(link->second, left);
  }
  return done;
}

const ProgramSize* KnownPrograms::find(const std::string& path) const {
  if (const auto it = sizes_.find(path); it != sizes_.end()) return &it->second;
  if (!path.starts_with('/')) return nullptr;
  const std::string end = resolved(path);
  for (const auto& [name, size] : sizes_) {
    if (!end.empty() && name.starts_with('/') && resolved(name) == end) return &size;
  }
  return nullptr;
}

void StraceReader::program(const StraceLine& line) {
  const std::string path = line.string(0);
  if (line.kind == StraceLine::Kind::kLink) {
    const std::string target = line.string(2);
    if (!path.starts_with('/') || target.empty()) return unclear("'# link' line without its paths");
    programs_.link(path, target);
    return;
  }
  const auto text = line.field("text"), data = line.field("data"), zero = line.field("zero");
  if (path.empty() || !text || !data || !zero || *text + *data + *zero > kMaxImage) {
    return unclear("'# program' line without its sizes");
  }
  programs_.add(path, {*text, *data, *zero});
}

void StraceReader::read_sizes(const std::string& path) {
  StraceParser parser;
  std::uint32_t number = 0;
  std::set<std::string> paths;
  std::vector<StraceLine> lines;
  each_line(read_text_file(path), [&](std::string_view raw) {
    ++number;
    lines.clear();
    parser.parse(raw, lines);
    for (const StraceLine& line : lines) {
      const std::size_t unclear_before = not_understood_.size();
      const bool sizes =
          line.kind == StraceLine::Kind::kProgram || line.kind == StraceLine::Kind::kLink;
      if (sizes) program(line);
      if (sizes && not_understood_.size() == unclear_before &&
          paths.insert(line.string(0)).second) {
        continue;
      }
      throw InputError(fmt::format(
          "{}:{}: expected a line like '# program \"/bin/true\" text=N data=N zero=N' or '# link "
          "\"/bin/sh\" -> \"dash\"', once for each path",
          path, number));
    }
    return true;
  });
}

std::uint32_t StraceReader::image(const StraceLine& line) {
  const std::size_t at = line.name == "execveat" ? 1 : 0;
  const std::string path(line.text(at));
  const auto kb = [](unsigned n) { return std::uint64_t{n} << 10; };
  ProgramSize size{kb(rule_.image_text_kb), kb(rule_.image_data_kb), kb(rule_.image_zero_kb)};
  const ProgramSize* known = programs_.find(line.string(at));
  if (known != nullptr) size = *known;
  if (size.text + size.data + size.zero == 0) return 0;
  Image image = place_image(size, images_->of(index_));
  if (image.parts.empty()) {
    unclear("execve of which no later call shows the place");
    return 0;
  }
  if (known == nullptr) ++workload_.default_images[printable(line.string(at))];
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

}  // namespace kpksim::workload
