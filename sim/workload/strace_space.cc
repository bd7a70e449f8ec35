#include "sim/workload/strace_space.h"

#include <algorithm>

#include "sim/base/types.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kFaultAroundBytes = 64 << 10;
constexpr std::uint64_t kWorkingSet = 1024;  // pages that a fork is followed by writing to

std::uint64_t share(std::uint64_t bytes, unsigned percent) {
  return std::min(bytes, align_up(bytes * percent / 100, kPageSize));
}

}  // namespace

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

void StraceSpace::map(StraceArea area) {
  const StraceArea* before = find(area.start);
  const bool inside = before != nullptr && area.end <= before->end;
  area.made_in = inside ? before->made_in : ++mappings_;
  area.part = inside;
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
  close(start, end);
}

// What is no longer there, or no longer writable, does not fill.
void StraceSpace::close(std::uint64_t start, std::uint64_t end) {
  const auto cut_open = [&](Open& open) {
    if (open.next >= end || start >= open.end) return;
    // What is left in front of the hole can still fill; a hole at its start ends it.
    open.end = std::max(start, open.next);
  };
  cut_open(heap_);
  for (Open& open : large_) cut_open(open);
  std::erase_if(large_, [](const Open& open) { return open.next == open.end; });
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
  if ((prot & kProtWrite) == 0) {
    forget(start, end);
    close(start, end);
  }
  for (auto it = areas_.upper_bound(start); it != areas_.end() && it->second.start < end; ++it) {
    StraceArea& area = it->second;
    const bool opened = area.prot == kProtNone && (prot & kProtWrite) != 0;
    area.prot = prot;
    if (!opened) continue;  // a reservation that is taken into use, as a mapping would be
    area.part = true;
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
  area.bias += from - to;
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

void StraceSpace::duplicate(std::uint64_t from, std::uint64_t to, std::uint64_t length,
                            bool empties) {
  const StraceArea* at = find(from);
  if (at == nullptr) return;
  StraceArea area = *at;
  const bool written = !written_.within(from, from + length).empty();
  if (empties) forget(from, from + length);
  area.bias += from - to;
  area.start = to;
  area.end = to + length;
  area.whole = true;
  unmap(area.start, area.end);
  areas_[area.end] = area;
  if (!area.shared && written) written_.add(area.start, area.end);
}

const StraceArea* StraceSpace::find(std::uint64_t address) const {
  const auto it = areas_.upper_bound(address);
  return it != areas_.end() && it->second.start <= address ? &it->second : nullptr;
}

std::vector<StraceArea> StraceSpace::within(std::uint64_t start, std::uint64_t end) const {
  std::vector<StraceArea> out;
  for (auto it = areas_.upper_bound(start); it != areas_.end() && it->second.start < end; ++it) {
    out.push_back(it->second);
    out.back().start = std::max(start, it->second.start);
    out.back().end = std::min(end, it->second.end);
  }
  return out;
}

std::optional<StraceArea> StraceSpace::mapped(const StraceFile& file, std::uint64_t first,
                                              std::uint64_t last) const {
  std::optional<StraceArea> largest;
  for (const auto& [unused, area] : areas_) {
    if (area.backing != &file) continue;
    const std::uint64_t offset = area.offset_of(area.start), length = area.end - area.start;
    const std::uint64_t from = std::max(first, offset), to = std::min(last, offset + length);
    if (from >= to || (largest && to - from <= largest->end - largest->start)) continue;
    largest = area;
    largest->start = from - area.bias;
    largest->end = to - area.bias;
  }
  return largest;
}

bool StraceSpace::continues_data(std::uint64_t start, std::uint64_t end) const {
  const StraceArea *data = start == 0 ? nullptr : find(start - 1), *rest = find(start);
  return data != nullptr && rest != nullptr && data->end == start && end <= rest->end &&
         data->file && !data->shared && (data->prot & kProtWrite) != 0 &&
         data->made_in == rest->made_in;
}

void StraceSpace::populated(std::uint64_t start, std::uint64_t end) {
  for (const StraceArea& area : within(start, end)) {
    if (area.prot == kProtNone) continue;
    cut(waiting_, area.start, area.end);
    if ((area.prot & kProtWrite) != 0 && !area.shared) written_.add(area.start, area.end);
  }
  for (Open& open : large_) {
    if (start <= open.next && open.next < end) open.next = std::min(open.end, end);
  }
  if (start <= heap_.next && heap_.next < end) heap_.next = std::min(heap_.end, end);
}

void StraceSpace::mark(std::uint64_t start, std::uint64_t end, bool StraceArea::*flag, bool on) {
  split(start);
  split(end);
  for (StraceArea& area : waiting_) {
    if (start <= area.start && area.end <= end) area.*flag = on;
  }
  for (auto it = areas_.upper_bound(start); it != areas_.end() && it->second.start < end; ++it) {
    it->second.*flag = on;
  }
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

// Writes the area's pages up to `end`. Of zeroed memory behind data, which is tables above all, one
// page in five is looked at before it is written.
void StraceSpace::write(const StraceArea& area, std::uint64_t end, std::vector<PageTouch>& out) {
  if (area.start >= end) return;
  constexpr std::uint64_t kStride = 5 * kPageSize;
  const std::uint64_t looked_at = area.start + kStride - kPageSize;
  if (area.zero && looked_at < end) out.push_back({looked_at, end - looked_at, kStride, false});
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
  if (!area.loaded) return write(area, area.end, out);
  const std::uint64_t window = align_down(area.start, kFaultAroundBytes) + kFaultAroundBytes;
  const std::uint64_t tables_end = area.read_only_end == 0 ? window : area.read_only_end;
  std::uint64_t next = read(std::min(tables_end, area.end) - kPageSize);
  while (area.fixed && next < area.end) next = read(next);
  write(area, area.end, out);
}

bool StraceSpace::reservation(const StraceArea& area) const {
  const std::uint64_t limit = std::uint64_t{rule_.reserve_mb} << 20, length = area.end - area.start;
  if (area.backing == nullptr) {
    // An allocator whose pieces grow asks for at most twice the last one.
    return area.reserve && !area.file && length > std::max(limit, 2 * largest_);
  }
  const std::uint64_t offset = area.offset_of(area.start);
  const std::uint64_t there = area.backing->exists(offset, length);
  // A large file is looked up, not read through.
  const bool data = (area.prot & (kProtWrite | kProtExec)) == 0;
  return there > limit && (data || area.backing->filled(offset, there) < there);
}

void StraceSpace::settle(StraceArea area, std::vector<PageTouch>& out) {
  const bool w = (area.prot & kProtWrite) != 0;
  if (area.prot == kProtNone || area.guard || area.stack || !rule_.touch) return;
  if (area.backing != nullptr) {
    const std::uint64_t offset = area.offset_of(area.start);
    const std::uint64_t there = area.backing->exists(offset, area.end - area.start);
    if (there == 0) return;
    area.end = area.start + there;
  }
  if (!w && !area.file) return;
  if (reservation(area)) {
    if (w) {
      open(area, out);
    } else {
      out.push_back({area.start, kPageSize, kPageSize, false});
    }
    return;
  }
  if (!w) return read_text(area, out);
  const std::uint64_t length = area.end - area.start;
  if (area.shared) return write(area, area.start + share(length, rule_.shared_percent), out);
  if (area.file) return write_data(area, out);
  if (area.zero) {
    // The first page is looked at before it is written.
    const std::uint64_t used =
        share(length, area.program ? rule_.used_percent : rule_.library_zero_percent);
    if (used != 0) out.push_back({area.start, kPageSize, kPageSize, false});
    return write(area, area.start + used, out);
  }
  if (area.heap) return write_heap(area, out);
  if (length <= kLargeRequest) return write(area, area.end, out);
  for (Open& before : large_) {
    if (const unsigned percent = filled_by(before, area); percent != 0) fill(before, percent, out);
  }
  std::erase_if(large_, [](const Open& before) { return before.next == before.end; });
  large_.push_back(open(area, out));
  if (!area.part) largest_ = std::max(largest_, length);
}

// One of the same size is an allocator's next piece, as the one before is full; a larger one is the
// next place of a table that has outgrown the one before. The pieces of a reservation are not next
// places of anything: one is full when the reservation is committed further, behind it.
unsigned StraceSpace::filled_by(const Open& before, const StraceArea& area) const {
  if (area.part || before.part) {
    return before.made_in == area.made_in && before.end == area.start ? 100 : 0;
  }
  const std::uint64_t length = area.end - area.start;
  return before.length > length ? 0 : before.length == length ? 100 : rule_.own_percent;
}

StraceSpace::Open StraceSpace::open(const StraceArea& area, std::vector<PageTouch>& out) {
  const std::uint64_t next = std::min(area.end, area.start + std::uint64_t{rule_.open_kb} * 1024);
  write(area, next, out);
  return {area.start, next, area.end, area.end - area.start, area.made_in, area.part};
}

void StraceSpace::fill(Open& open, unsigned percent, std::vector<PageTouch>& out) {
  StraceArea rest;
  rest.start = open.next;
  rest.end = open.end;
  if (rule_.touch) write(rest, rest.start + share(rest.end - rest.start, percent), out);
  open.next = open.end;
}

// malloc lets the heap grow by 128 KB more than the request that did not fit, less what was left: a
// growth by more than two pages beyond that is for a large request. Small ones use up all that is
// there; a program that makes many large ones (more than two in five) leaves gaps.
unsigned StraceSpace::heap_percent() const {
  return large_growths_ * 5 > growths_ * 2 ? rule_.used_percent : 100;
}

void StraceSpace::write_heap(const StraceArea& area, std::vector<PageTouch>& out) {
  // A static program's first piece is for its thread-local data, not malloc's.
  if (heap_.length > kLargeRequest) ++growths_;
  const std::uint64_t small = kLargeRequest + kPageSize;
  const bool large = area.end - area.start > small + kPageSize;
  if (large) ++large_growths_;
  fill(heap_, heap_percent(), out);
  heap_ = open(area, out);
  if (!large || !rule_.touch) return;
  // The request itself lies in front of those 128 KB.
  StraceArea request = area;
  request.start = heap_.next;
  heap_.next = std::max(heap_.next, area.end - small);
  write(request, heap_.next, out);
}

// Of the newest piece of a heap that has grown half is used, on the average. A program that frees
// its memory at its end walks over what it wrote.
std::vector<PageTouch> StraceSpace::finish() {
  std::vector<PageTouch> out = settle();
  if (growths_ != 0) fill(heap_, 50, out);
  if (child_) {
    const std::vector<PageTouch> more = run_on();
    out.insert(out.end(), more.begin(), more.end());
  }
  if (!frees) return out;
  const std::vector<PageTouch> all = walk(0, ~std::uint64_t{0});
  out.insert(out.end(), all.begin(), all.end());
  return out;
}

void StraceSpace::read_into_large(std::uint64_t bytes, std::vector<PageTouch>& out) {
  if (large_.empty()) return;
  Open& buffer = large_.back();
  buffer.end = std::clamp(align_up(buffer.start + bytes, kPageSize), buffer.next, buffer.end);
  fill(buffer, 100, out);
}

void StraceSpace::use_up(std::uint64_t start, std::uint64_t end, std::vector<PageTouch>& out) {
  if (!rule_.touch) return;
  for (auto it = areas_.upper_bound(start); it != areas_.end() && it->second.start < end; ++it) {
    StraceArea part = it->second;
    // A thread that ends gives back all of its stack, of which it has used little.
    if (part.file || part.shared || part.stack || part.guard || (part.prot & kProtWrite) == 0)
      continue;
    part.start = std::max(start, part.start);
    part.end = std::min(end, part.end);
    if (!reservation(part)) write(part, part.end, out);
  }
}

void StraceSpace::use_up_large(std::uint64_t start, std::uint64_t end, bool whole,
                               std::vector<PageTouch>& out) {
  for (Open& open : large_) {
    if (open.next >= end || start >= open.end) continue;
    if (!whole || (start <= open.start && open.end <= end)) fill(open, rule_.used_percent, out);
  }
}

std::vector<PageTouch> StraceSpace::walk(std::uint64_t start, std::uint64_t end) const {
  std::vector<PageTouch> out;
  if (!rule_.touch) return out;
  for (const auto& [from, to] : written_.within(start, end)) {
    out.push_back({from, to - from, kPageSize, true});
  }
  return out;
}

void StraceSpace::guard(std::uint64_t start, std::uint64_t end, bool install) {
  mark(start, end, &StraceArea::guard, install);
  forget(start, end);
}

// What MADV_DONTFORK and MADV_WIPEONFORK keep from a child.
void StraceSpace::inherit() {
  locks_all = false;
  for (const StraceArea& area : within(0, ~std::uint64_t{0})) {
    if (area.dont_fork) {
      unmap(area.start, area.end);
    } else if (area.wipe_on_fork) {
      forget(area.start, area.end);
    }
  }
}

std::vector<PageTouch> StraceSpace::forked(bool child) {
  to_write_.clear();
  to_read_.clear();
  if (child) inherit();
  const std::uint64_t pages = written_.pages(), n = std::min(pages, kWorkingSet);
  for (std::uint64_t i = pages - n; i < pages; ++i) to_write_.push_back(written_.page(i));
  if (child) to_read_ = text_read_;
  child_ = child;
  write_due_ = read_due_ = 0;
  return run_on();
}

// A program that has little does not go on with all of it at once.
std::vector<PageTouch> StraceSpace::run_on() {
  std::vector<PageTouch> out;
  again(to_write_, std::min<std::uint64_t>(rule_.fork_pages, written_.pages() / 4), true, out);
  again(to_read_, std::min<std::uint64_t>(rule_.fork_pages, text_read_.size() / 3), false, out);
  return out;
}

std::vector<PageTouch> StraceSpace::go_on() {
  std::vector<PageTouch> out;
  if (to_write_.empty() && to_read_.empty()) return out;
  // The hundredths that are due, as whole pages; what is left over waits for the next call.
  const auto due = [](unsigned& hundredths, unsigned more) {
    const unsigned whole = (hundredths + more) / 100;
    hundredths = (hundredths + more) % 100;
    return whole;
  };
  again(to_write_, due(write_due_, rule_.fork_call_percent), true, out);
  again(to_read_, due(read_due_, rule_.fork_call_text_percent), false, out);
  return out;
}

void StraceSpace::again(std::vector<std::uint64_t>& left, std::uint64_t n, bool write,
                        std::vector<PageTouch>& out) const {
  for (std::uint64_t i = 0; i < n && !left.empty(); ++i) {
    const std::uint64_t at = left.back();
    left.pop_back();
    if (knows(at)) out.push_back({at, kPageSize, kPageSize, write});
  }
}

std::vector<PageTouch> StraceSpace::settle() {
  std::vector<PageTouch> out;
  for (const StraceArea& area : waiting_) settle(area, out);
  waiting_.clear();
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
