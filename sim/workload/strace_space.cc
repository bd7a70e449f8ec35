#include "sim/workload/strace_space.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kFaultAroundBytes = 64 << 10;
constexpr std::uint64_t kSmallBytes = 128 << 10;  // glibc's mmap threshold: larger is a request
constexpr std::uint64_t kWorkingSet = 1024;       // pages that a fork is followed by writing to
constexpr std::size_t kRangesKept = 1024;         // of written pages, the newest

std::uint64_t share(std::uint64_t bytes, unsigned percent) {
  return std::min(bytes, align_up(bytes * percent / 100, kPageSize));
}

}  // namespace

void WrittenPages::add(std::uint64_t start, std::uint64_t end) {
  cut(start, end);
  if (!ranges_.empty() && ranges_.back().end == start) {
    ranges_.back().end = end;
  } else {
    ranges_.push_back({start, end});
  }
  pages_ += (end - start) / kPageSize;
  if (ranges_.size() <= kRangesKept) return;
  pages_ -= (ranges_.front().end - ranges_.front().start) / kPageSize;
  ranges_.erase(ranges_.begin());
}

void WrittenPages::cut(std::uint64_t start, std::uint64_t end) {
  for (std::size_t i = 0; i < ranges_.size();) {
    const Range r = ranges_[i];
    const std::uint64_t from = std::max(start, r.start), to = std::min(end, r.end);
    if (from >= to) {
      ++i;
      continue;
    }
    pages_ -= (to - from) / kPageSize;
    ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(i));
    const auto keep = [&](std::uint64_t a, std::uint64_t b) {
      if (a < b) ranges_.insert(ranges_.begin() + static_cast<std::ptrdiff_t>(i++), {a, b});
    };
    keep(r.start, from);
    keep(to, r.end);
  }
}

std::uint64_t WrittenPages::page(std::uint64_t i) const {
  for (const Range& r : ranges_) {
    const std::uint64_t n = (r.end - r.start) / kPageSize;
    if (i < n) return r.start + i * kPageSize;
    i -= n;
  }
  return 0;
}

// Takes [start, end) out of a list of areas.
void StraceSpace::cut(std::vector<StraceArea>& areas, std::uint64_t start, std::uint64_t end) {
  std::vector<StraceArea> left;
  for (const StraceArea& a : areas) {
    if (a.end <= start || end <= a.start) {
      left.push_back(a);
      continue;
    }
    StraceArea part = a;
    part.whole = false;
    part.end = std::min(a.end, start);
    if (part.start < part.end) left.push_back(part);
    part.start = std::max(a.start, end);
    part.end = a.end;
    if (part.start < part.end) left.push_back(part);
  }
  areas = std::move(left);
}

void StraceSpace::map(const StraceArea& area) {
  unmap(area.start, area.end);
  areas_[area.end] = area;
  waiting_.push_back(area);
}

void StraceSpace::unmap(std::uint64_t start, std::uint64_t end) {
  std::vector<StraceArea> hit;
  auto it = areas_.upper_bound(start);
  while (it != areas_.end() && it->second.start < end) {
    hit.push_back(it->second);
    it = areas_.erase(it);
  }
  cut(hit, start, end);
  for (const StraceArea& a : hit) areas_[a.end] = a;
  cut(waiting_, start, end);
  forget(start, end);
  for (Open& open : open_) {
    if (open.next >= end || start >= open.end) continue;
    // What is left in front of the hole can still fill; a hole at its start ends it.
    open.end = std::max(start, open.next);
  }
}

void StraceSpace::split(std::uint64_t at) {
  const auto it = areas_.upper_bound(at);
  if (it != areas_.end() && it->second.start < at) {
    StraceArea lower = it->second;
    it->second.start = at;
    lower.end = at;
    areas_[at] = lower;
  }
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].start >= at || waiting_[i].end <= at) continue;
    StraceArea upper = waiting_[i];
    upper.whole = waiting_[i].whole = false;
    waiting_[i].end = upper.start = at;
    waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(i + 1), upper);
  }
}

void StraceSpace::protect(std::uint64_t start, std::uint64_t end, std::uint8_t prot) {
  split(start);
  split(end);
  for (StraceArea& area : waiting_) {
    if (start <= area.start && area.end <= end) area.prot = prot;
  }
  if ((prot & kProtWrite) == 0) forget(start, end);
  for (auto it = areas_.upper_bound(start); it != areas_.end() && it->second.start < end; ++it) {
    StraceArea& area = it->second;
    const bool opened = area.prot == kProtNone && (prot & kProtWrite) != 0;
    area.prot = prot;
    if (!opened) continue;  // a reservation that is taken into use, as a mapping would be
    cut(waiting_, area.start, area.end);
    waiting_.push_back(area);
  }
}

void StraceSpace::move(std::uint64_t from, std::uint64_t length, std::uint64_t to,
                       std::uint64_t new_length) {
  const auto it = areas_.upper_bound(from);
  if (it == areas_.end() || it->second.start > from) return;
  StraceArea area = it->second;
  unmap(from, from + length);
  area.start = to;
  area.end = to + new_length;
  area.whole = true;
  unmap(area.start, area.end);
  areas_[area.end] = area;
  if (new_length <= length) {
    written_.add(area.start, area.end);
    return;
  }
  // It has grown because it was full: only the new part is still to be touched.
  written_.add(to, to + length);
  area.start = to + length;
  waiting_.push_back(area);
}

bool StraceSpace::knows(std::uint64_t address) const {
  const auto it = areas_.upper_bound(address);
  return it != areas_.end() && it->second.start <= address;
}

bool StraceSpace::waits_whole(std::uint64_t start, std::uint64_t end) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const StraceArea& a) {
    return a.whole && start <= a.start && a.end <= end && a.prot != kProtNone;
  });
}

void StraceSpace::forget(std::uint64_t start, std::uint64_t end) {
  written_.cut(start, end);
  written_shared_.cut(start, end);
}

// Writes the area's pages up to `end`. Of large anonymous memory (tables, arenas) one page in 16 is
// looked at before it is written.
void StraceSpace::write(const StraceArea& area, std::uint64_t end, std::vector<PageTouch>& out) {
  if (area.start >= end) return;
  const std::uint64_t looked_at = area.start + kFaultAroundBytes - kPageSize;
  if (!area.file && !area.shared && looked_at < end) {
    out.push_back({looked_at, end - looked_at, kFaultAroundBytes, false});
  }
  out.push_back({area.start, end - area.start, kPageSize, true});
  (area.shared ? written_shared_ : written_).add(area.start, end);
}

// Each window of fault-around is read by one access.
void StraceSpace::read_text(const StraceArea& area, std::vector<PageTouch>& out) {
  const bool text = (area.prot & kProtExec) != 0;
  const unsigned percent = area.all               ? 100
                           : text && area.program ? rule_.own_percent
                                                  : rule_.used_percent;
  if (percent == 0) return;
  const std::uint64_t stride = kFaultAroundBytes * 100 / percent;
  out.push_back({area.start, area.end - area.start, stride, false});
  if (!text) return;
  for (std::uint64_t at = area.start; at < area.end; at += stride) text_read_.push_back(at);
}

// The loader zeroes the end of the last page and reads the dynamic section, which stands at the end
// of the tables that become read-only. It writes all pages, as it relocates them; those that its
// read has mapped are copied. Where nothing is to be relocated, the program itself comes first to
// what is behind those tables: it reads, then writes.
void StraceSpace::write_data(const StraceArea& area, std::vector<PageTouch>& out) {
  const auto read = [&](std::uint64_t at) {
    out.push_back({at, kPageSize, kPageSize, false});
    return align_down(at, kFaultAroundBytes) + kFaultAroundBytes;
  };
  if (area.cleared) out.push_back({area.end - kPageSize, kPageSize, kPageSize, true});
  const std::uint64_t window = align_down(area.start, kFaultAroundBytes) + kFaultAroundBytes;
  const std::uint64_t tables_end = area.read_only_end == 0 ? window : area.read_only_end;
  std::uint64_t next = read(std::min(tables_end, area.end) - kPageSize);
  while (area.fixed && next < area.end) next = read(next);
  write(area, area.end, out);
}

void StraceSpace::settle(const StraceArea& area, std::vector<PageTouch>& out) {
  const std::uint64_t length = area.end - area.start;
  const bool w = (area.prot & kProtWrite) != 0;
  if (area.prot == kProtNone || area.stack || !rule_.touch) return;
  if (area.populate && w) return write(area, area.end, out);
  if (!w) {
    if (area.file) read_text(area, out);
    return;
  }
  if (area.shared) return write(area, area.start + share(length, rule_.shared_percent), out);
  if (area.file) return write_data(area, out);
  if (area.zero) {
    // The first page is looked at before it is written.
    const std::uint64_t used = share(length, rule_.used_percent);
    if (used != 0) out.push_back({area.start, kPageSize, kPageSize, false});
    return write(area, area.start + used, out);
  }
  if (!area.heap && length <= kSmallBytes) return write(area, area.end, out);
  Open& open = open_[area.heap ? 1 : 0];
  StraceArea rest = area;
  rest.start = open.next;
  write(rest, rest.start + share(open.end - open.next, rule_.own_percent), out);
  open.next = std::min(area.end, area.start + std::uint64_t{rule_.open_kb} * 1024);
  open.end = area.end;
  write(area, open.next, out);
}

std::vector<PageTouch> StraceSpace::read_again() const {
  std::vector<PageTouch> out;
  const std::size_t n = text_read_.size() * rule_.fork_text_percent / 100;
  for (std::size_t i = 0; i < n; ++i) {
    out.push_back({text_read_[i * text_read_.size() / n], kPageSize, kPageSize, false});
  }
  return out;
}

std::vector<PageTouch> StraceSpace::settle() {
  std::vector<PageTouch> out;
  for (const StraceArea& area : waiting_) settle(area, out);
  waiting_.clear();
  return out;
}

std::vector<PageTouch> StraceSpace::recent() const {
  std::vector<PageTouch> out;
  const std::uint64_t pages = written_.pages();
  const std::uint64_t n = std::min(pages * rule_.fork_percent / 100, kWorkingSet);
  for (std::uint64_t i = 0; i < n; ++i) {
    out.push_back({written_.page(pages - 1 - i), kPageSize, kPageSize, true});
  }
  return out;
}

std::vector<PageTouch> StraceSpace::random(unsigned n, std::mt19937_64& source) const {
  std::vector<PageTouch> out;
  const std::uint64_t own = written_.pages(), all = own + written_shared_.pages();
  for (unsigned i = 0; i < n && all != 0; ++i) {
    const std::uint64_t at = source() % all;
    const std::uint64_t page = at < own ? written_.page(at) : written_shared_.page(at - own);
    out.push_back({page, kPageSize, kPageSize, true});
  }
  return out;
}

}  // namespace kpksim::workload
