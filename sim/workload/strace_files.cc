#include "sim/workload/strace_files.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::workload {

std::string quoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::string(text);
  return std::string(text.substr(1, text.find('"', 1) - 1));
}

std::uint64_t StraceFile::exists(std::uint64_t offset, std::uint64_t length) const {
  if (!size) return length;
  return *size <= offset ? 0 : std::min(length, align_up(*size - offset, kPageSize));
}

std::uint64_t StraceFile::filled(std::uint64_t offset, std::uint64_t length) const {
  const std::uint64_t there = exists(offset, length);
  if (!holes) return there;
  return filled_end <= offset ? 0 : std::min(there, align_up(filled_end - offset, kPageSize));
}

void StraceFile::grow(std::uint64_t to) {
  if (size) size = std::max(*size, to);
  filled_end = std::max(filled_end, to);
}

void StraceFile::truncate(std::uint64_t to) {
  if (size && *size < to) {
    if (!holes) filled_end = *size;
    holes = true;
  }
  size = to;
  fresh |= to == 0;
  written_end = std::min(written_end, to);
  filled_end = std::min(filled_end, to);
}

StraceFile& StraceFileSystem::unnamed(const std::string& what) {
  StraceFile& file = files_.emplace_back();
  file.path = what;
  file.number = static_cast<std::uint32_t>(files_.size());
  return file;
}

StraceFile* StraceFileSystem::find(std::string_view path) {
  const auto it = by_path_.find(path);
  return it == by_path_.end() ? nullptr : it->second;
}

StraceFile& StraceFileSystem::at(const std::string& path) {
  StraceFile*& file = by_path_[path];
  if (file == nullptr) {
    file = &unnamed(path);
    file->memory = path.starts_with("/dev/shm/");
  }
  return *file;
}

StraceFile& StraceFileSystem::create(const std::string& path) {
  remove(path);
  StraceFile& file = at(path);
  file.truncate(0);
  return file;
}

void StraceFileSystem::remove(const std::string& path) {
  const auto it = by_path_.find(path);
  if (it == by_path_.end()) return;
  it->second->removed = true;
  by_path_.erase(it);
}

void StraceFileSystem::rename(const std::string& from, const std::string& to) {
  const auto it = by_path_.find(from);
  remove(to);
  if (it == by_path_.end()) return;
  StraceFile* file = it->second;
  by_path_.erase(it);
  by_path_[to] = file;
}

StraceFiles::Opened* StraceFiles::opened(int descriptor) const {
  const auto it = open_.find(descriptor);
  return it == open_.end() ? nullptr : it->second.opened.get();
}

StraceFile* StraceFiles::file(int descriptor) const {
  const Opened* found = opened(descriptor);
  return found == nullptr ? nullptr : found->file;
}

void StraceFiles::open(int descriptor, StraceFile& file, bool close_on_exec, bool empty) {
  open_[descriptor] = {std::make_shared<Opened>(file, empty), close_on_exec};
}

void StraceFiles::read(int descriptor, std::uint64_t bytes) {
  if (Opened* at = opened(descriptor)) at->position += bytes;
}

std::uint64_t StraceFiles::position(int descriptor) const {
  const Opened* at = opened(descriptor);
  return at == nullptr ? 0 : at->position;
}

void StraceFiles::seek(int descriptor, std::uint64_t to) {
  if (Opened* at = opened(descriptor)) at->position = to;
}

std::uint64_t StraceFiles::write(int descriptor, std::uint64_t bytes,
                                 std::optional<std::uint64_t> offset) {
  Opened* at = opened(descriptor);
  if (at == nullptr) return 0;
  StraceFile& file = *at->file;
  const std::uint64_t to = offset.value_or(at->position) + bytes;
  if (!offset) at->position = to;
  file.grow(to);
  if (file.fresh) file.written_end = std::max(file.written_end, to);
  if (!at->empty) return 0;
  const std::uint64_t start = offset.value_or(at->written), before = align_up(at->end, kPageSize);
  if (!offset) at->written += bytes;
  at->end = std::max(at->end, start + bytes);
  // What lies between the end and the start stays a hole.
  const std::uint64_t from = std::max(before, align_down(start, kPageSize));
  return (std::max(from, align_up(at->end, kPageSize)) - from) / kPageSize;
}

std::vector<StraceFile*> StraceFiles::last() const {
  std::map<const Opened*, long> descriptors;
  for (const auto& [unused, descriptor] : open_) ++descriptors[descriptor.opened.get()];
  std::map<const StraceFile*, unsigned> closing;
  std::vector<StraceFile*> out;
  for (const auto& [unused, descriptor] : open_) {
    const auto known = descriptors.find(descriptor.opened.get());
    if (known == descriptors.end()) continue;  // by another number before
    const bool elsewhere = descriptor.opened.use_count() != known->second;
    descriptors.erase(known);
    if (elsewhere) continue;
    StraceFile* file = descriptor.opened->file;
    if (++closing[file] == file->opened && file->removed && file->id != 0) out.push_back(file);
  }
  return out;
}

void StraceFiles::truncate(int descriptor, std::uint64_t to) {
  Opened* at = opened(descriptor);
  if (at == nullptr) return;
  at->file->truncate(to);
  if (to != 0) return;
  at->empty = true;
  at->end = 0;
}

void StraceFiles::close_range(int first, int last) {
  open_.erase(open_.lower_bound(first), open_.upper_bound(last));
}

void StraceFiles::duplicate(int from, int to, bool close_on_exec) {
  const auto it = open_.find(from);
  if (it == open_.end()) {
    open_.erase(to);  // something that is not known takes its place
  } else if (from != to) {
    open_[to] = {it->second.opened, close_on_exec};
  }
}

void StraceFiles::set_close_on_exec(int descriptor, bool on) {
  if (const auto it = open_.find(descriptor); it != open_.end()) it->second.close_on_exec = on;
}

void StraceFiles::executed() {
  std::erase_if(open_, [](const auto& entry) { return entry.second.close_on_exec; });
}

}  // namespace kpksim::workload
