#include "sim/kernel/hugetlb.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.h"

namespace kpksim::kernel {

const HugetlbSize* find_hugetlb_size(std::uint64_t bytes) {
  const auto it = std::find_if(kHugetlbSizes.begin(), kHugetlbSizes.end(),
                               [&](const HugetlbSize& s) { return s.bytes() == bytes; });
  return it == kHugetlbSizes.end() ? nullptr : &*it;
}

const HugetlbSize& hugetlb_size(unsigned shift) {
  const HugetlbSize* size = find_hugetlb_size(1ull << shift);
  if (size == nullptr) throw ModelError(fmt::format("no huge pages of 2^{} bytes", shift));
  return *size;
}

std::uint64_t IndexRanges::count(std::uint64_t first, std::uint64_t last) const {
  std::uint64_t sum = 0;
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin()) --it;
  for (; it != ranges_.end() && it->first < last; ++it) {
    const std::uint64_t from = std::max(first, it->first), to = std::min(last, it->second);
    if (from < to) sum += to - from;
  }
  return sum;
}

std::uint64_t IndexRanges::add(std::uint64_t first, std::uint64_t last) {
  const std::uint64_t fresh = last - first - count(first, last);
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin() && std::prev(it)->second >= first) --it;
  while (it != ranges_.end() && it->first <= last) {
    first = std::min(first, it->first);
    last = std::max(last, it->second);
    it = ranges_.erase(it);
  }
  ranges_[first] = last;
  return fresh;
}

std::uint64_t IndexRanges::remove(std::uint64_t first, std::uint64_t last) {
  const std::uint64_t gone = count(first, last);
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin()) --it;
  while (it != ranges_.end() && it->first < last) {
    const auto [from, to] = *it;
    if (to <= first) {
      ++it;
      continue;
    }
    it = ranges_.erase(it);
    if (from < first) ranges_[from] = first;
    if (to > last) ranges_[last] = to;
  }
  return gone;
}

// alloc_fresh_hugetlb_folio(); a size beyond the buddy allocator's runs from free memory that lies
// together (alloc_contig_pages(); nothing is moved to make room).
bool Hugetlb::grow(const HugetlbSize& size) {
  const auto pfn = size.order() <= kMaxOrder ? buddy_.allocate(size.order(), Mobility::kMovable)
                                             : buddy_.allocate_contiguous(size.order());
  if (!pfn) return false;
  pool(size).free.push_back(*pfn);
  ++pool(size).total;
  return true;
}

void Hugetlb::shrink(const HugetlbSize& size, Pfn pfn) {
  --pool(size).total;
  const unsigned order = std::min(size.order(), kMaxOrder);
  for (std::uint64_t at = 0; at < size.pages(); at += 1ull << order) buddy_.free(pfn + at, order);
}

void Hugetlb::check(const HugetlbSize& size) const {
  if (size.entries == 1 || runs_) return;
  throw InputError(fmt::format("x86-64 has no huge pages of {}; use 2M or 1G", size.name));
}

// set_max_huge_pages()
void Hugetlb::resize(const HugetlbSize& size, std::uint64_t pages) {
  check(size);
  Pool& p = pool(size);
  p.fixed = true;
  p.surplus = 0;
  while (p.total < pages) {
    if (!grow(size)) {
      throw InputError(fmt::format("only {} of {} huge pages of {} fit into free memory", p.total,
                                   pages, size.name));
    }
  }
  while (p.total > pages && p.free.size() > p.reserved) {
    const Pfn pfn = p.free.back();
    p.free.pop_back();
    shrink(size, pfn);
  }
  p.surplus = p.total - pages;  // they go when they are given back
}

// hugetlb_acct_memory()
void Hugetlb::take_reserves(const HugetlbSize& size, std::uint64_t pages) {
  check(size);
  Pool& p = pool(size);
  while (p.free.size() < p.reserved + pages) {
    if (!p.fixed && grow(size)) continue;
    throw InputError(fmt::format(
        "{} huge pages of {} are not to be had: the pool has {}, of which {} are free and {} of "
        "these reserved{}",
        pages, size.name, p.total, p.free.size(), p.reserved,
        p.fixed ? " (see nr_hugepages)" : ", and there is no room for more (give --memory)"));
  }
  p.reserved += pages;
}

std::uint32_t Hugetlb::reserve(const HugetlbSize& size, std::uint64_t pages) {
  take_reserves(size, pages);
  used_[++last_reservation_];
  return last_reservation_;
}

void Hugetlb::close(const HugetlbSize& size, std::uint32_t reservation, std::uint64_t first,
                    std::uint64_t last) {
  pool(size).reserved -= last - first - used_[reservation].remove(first, last);
}

void Hugetlb::reserve_file(const HugetlbSize& size, std::uint32_t file, std::uint64_t first,
                           std::uint64_t last) {
  File& f = files_[file];
  f.size = &size;
  take_reserves(size, last - first - f.reserved.count(first, last));
  f.reserved.add(first, last);
}

std::optional<Pfn> Hugetlb::find(std::uint32_t file, std::uint64_t index) const {
  const auto f = files_.find(file);
  if (f == files_.end()) return std::nullopt;
  const auto it = f->second.pages.find(index);
  if (it == f->second.pages.end()) return std::nullopt;
  return it->second;
}

Pfn Hugetlb::dequeue(const HugetlbSize& size, bool reserved) {
  Pool& p = pool(size);
  if (!reserved && p.free.size() <= p.reserved && (p.fixed || !grow(size))) {
    throw InputError(
        fmt::format("no huge page of {} is left that nobody has reserved, as a copy needs it ({})",
                    size.name, p.fixed ? "see nr_hugepages" : "give --memory"));
  }
  if (reserved) --p.reserved;
  const Pfn pfn = p.free.back();
  p.free.pop_back();
  return pfn;
}

Pfn Hugetlb::allocate(const HugetlbSize& size, std::uint32_t reservation, std::uint64_t index) {
  const bool reserved = reservation != 0 && used_[reservation].add(index, index + 1) != 0;
  return dequeue(size, reserved);
}

Pfn Hugetlb::allocate_for_file(const HugetlbSize& size, std::uint32_t file, std::uint64_t index) {
  File& f = files_[file];
  f.size = &size;
  const Pfn pfn = dequeue(size, f.reserved.add(index, index + 1) == 0);
  f.pages[index] = pfn;
  return pfn;
}

void Hugetlb::restore(const HugetlbSize& size, std::uint32_t reservation, std::uint64_t index) {
  if (used_[reservation].remove(index, index + 1) != 0) ++pool(size).reserved;
}

void Hugetlb::free(const HugetlbSize& size, Pfn pfn) {
  Pool& p = pool(size);
  if (p.surplus != 0 && p.free.size() >= p.reserved) {
    --p.surplus;
    return shrink(size, pfn);
  }
  p.free.push_back(pfn);
}

std::vector<std::pair<const HugetlbSize*, Pfn>> Hugetlb::drop(std::uint32_t file,
                                                              std::uint64_t first,
                                                              std::uint64_t last, bool whole) {
  std::vector<std::pair<const HugetlbSize*, Pfn>> gone;
  const auto it = files_.find(file);
  if (it == files_.end()) return gone;
  File& f = it->second;
  const std::uint64_t pages = f.size->pages();
  const std::uint64_t from = (first + pages - 1) / pages, to = last / pages;
  const auto end = f.pages.lower_bound(to);
  for (auto at = f.pages.lower_bound(from); at != end; at = f.pages.erase(at)) {
    gone.emplace_back(f.size, at->second);
    f.reserved.remove(at->first, at->first + 1);
  }
  // What is only reserved goes with the whole file alone (truncate_op of remove_inode_hugepages()).
  if (whole) pool(*f.size).reserved -= f.reserved.remove(from, to);
  return gone;
}

}  // namespace kpksim::kernel
