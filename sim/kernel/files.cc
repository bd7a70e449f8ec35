#include "sim/kernel/files.h"

#include <algorithm>
#include <optional>

namespace kpksim::kernel {

// unmap_mapping_range()
void Files::unmap_everywhere(const FileRange& range, bool even_copies, cpu::Core& core) {
  std::optional<Holding> mapping;
  if (system_.interleaving) {
    mapping.emplace(system_.locks(), system_.interleaving->file_mapping(range.file_id), core,
                    Holding::How::kShared);
  }
  // Those that do not map it may go meanwhile; the others have to unlink their mappings first.
  std::vector<Mm*> spaces = tasks_.spaces();
  std::erase_if(spaces, [&](const Mm* mm) { return !mm->maps(range.file_id); });
  const Locks::Looking others(system_.locks());
  for (Mm* mm : spaces) mm->unmap_file(range, even_copies, core);
}

bool Files::drop(const FileRange& range, bool ends, cpu::Core& core) {
  const bool mapped = cache_.drop(system_, core, range);
  for (const auto& [size, pfn] :
       system_.hugetlb.drop(range.file_id, range.first, range.last, ends)) {
    core.execute(system_.path().hugetlb_drop);
    system_.put_hugetlb(*size, pfn);
  }
  return mapped;
}

void Files::punch_hole(const FileRange& range, cpu::Core& core) {
  core.execute(system_.path().punch_hole);
  unmap_everywhere(range, false, core);
  // truncate_cleanup_folio(): what another core has mapped meanwhile goes with the page.
  if (drop(range, false, core)) unmap_everywhere(range, false, core);
}

void Files::truncate(std::uint32_t file_id, std::uint64_t pages, cpu::Core& core) {
  const bool shorter = pages < cache_.pages_of(file_id);
  cache_.set_pages_of(file_id, pages);
  core.execute(system_.path().truncate);
  if (!shorter) return;
  const FileRange gone{file_id, pages};  // to the end of all mappings, empty entries too
  unmap_everywhere(gone, true, core);
  drop(gone, true, core);
  unmap_everywhere(gone, true, core);  // what was mapped meanwhile
}

void Files::drop_unmapped(const std::vector<FileRange>& files, cpu::Core& core) {
  for (const FileRange& file : files) {
    const std::vector<Mm*> spaces = tasks_.spaces();
    if (std::any_of(spaces.begin(), spaces.end(),
                    [&](const Mm* mm) { return mm->maps(file.file_id); })) {
      continue;
    }
    drop(file, true, core);
    cache_.forget(file.file_id);
  }
}

std::uint32_t Files::unnamed() {
  cache_.close(next_unnamed_);
  return next_unnamed_++;
}

std::uint64_t Files::reserve_hugetlb(Vma& vma, std::uint64_t length, cpu::Core& core) {
  const HugetlbSize& size = hugetlb_size(vma.hugetlb);
  length = align_up(length, size.bytes());
  core.execute(system_.path().hugetlb_mmap);
  vma.locked = vma.lock_on_fault = false;  // mmap_region(): its pages never leave
  if (vma.shared) {
    const std::uint64_t first = vma.file_offset >> size.shift;
    system_.hugetlb.reserve_file(size, vma.file_id, first, first + (length >> size.shift));
  } else {
    vma.reservation = system_.hugetlb.reserve(size, length >> size.shift);
  }
  const std::uint64_t end = (vma.file_offset + length) >> kPageShift;
  if (vma.file && vma.write && cache_.pages_of(vma.file_id) < end) {
    cache_.set_pages_of(vma.file_id, end);  // such a file grows with its mappings
  }
  return length;
}

}  // namespace kpksim::kernel
