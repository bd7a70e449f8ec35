#include "sim/kernel/keyed_pages.h"

#include <iterator>
#include <utility>

namespace kpksim::kernel {

KeyedPages::Runs::const_iterator KeyedPages::find(Pfn pfn) const {
  auto it = runs_.upper_bound(pfn);
  if (it == runs_.begin()) return runs_.end();
  --it;
  return pfn - it->first < it->second.pages() ? it : runs_.end();
}

KeyedPages::Runs::iterator KeyedPages::find(Pfn pfn) {
  const auto it = std::as_const(*this).find(pfn);
  return runs_.erase(it, it);  // nothing: the same place, as an iterator that may write
}

// What the orders of runs are kept by, before a run changes and after.
void KeyedPages::leave(Pfn first, const Run& run) {
  if (run.cached != 0) ranked_.erase(rank(first, run));
  if (run.whole()) whole_pages_ -= run.pages();
}

void KeyedPages::enter(Pfn first, const Run& run) {
  if (run.cached != 0) ranked_.insert(rank(first, run));
  if (run.whole()) whole_pages_ += run.pages();
}

void KeyedPages::change(Runs::iterator run, bool more) {
  leave(run->first, run->second);
  if (more) {
    ++run->second.cached;
  } else {
    --run->second.cached;
  }
  enter(run->first, run->second);
}

void KeyedPages::add_run(Pfn first, unsigned order) { runs_[first] = {order, 0}; }

void KeyedPages::put(Pfn pfn) {
  newest_.push_front(pfn);
  pages_[pfn] = newest_.begin();
  if (const auto run = find(pfn); run != runs_.end()) {
    change(run, true);
  } else {
    loose_.insert(pfn);
  }
}

Pfn KeyedPages::next() const {
  if (order_ == HandOut::kLifo) return newest_.front();
  if (order_ == HandOut::kLowest) return pages_.begin()->first;
  if (!loose_.empty()) return *loose_.begin();
  return pages_.lower_bound(std::get<Pfn>(*ranked_.begin()))->first;
}

Pfn KeyedPages::take() {
  const Pfn pfn = next();
  remove(pfn);
  return pfn;
}

void KeyedPages::unlink(Pfn pfn) {
  const auto page = pages_.find(pfn);
  newest_.erase(page->second);
  pages_.erase(page);
}

void KeyedPages::remove(Pfn pfn) {
  unlink(pfn);
  if (const auto run = find(pfn); run != runs_.end()) {
    change(run, false);
  } else {
    loose_.erase(pfn);
  }
}

std::optional<Pfn> KeyedPages::run_of(Pfn pfn) const {
  const auto run = find(pfn);
  if (run == runs_.end()) return std::nullopt;
  return run->first;
}

std::optional<Pfn> KeyedPages::whole_run(std::uint64_t most) const {
  const auto after = ranked_.lower_bound({true, most + 1, Pfn(0)});
  if (after == ranked_.begin() || !std::get<bool>(*std::prev(after))) return std::nullopt;
  return std::get<Pfn>(*std::prev(after));
}

std::list<Pfn> KeyedPages::partly_free(std::uint64_t least) const {
  std::list<Pfn> runs;
  const auto whole = ranked_.lower_bound({true, 0, Pfn(0)});
  for (auto it = std::make_reverse_iterator(whole); it != ranked_.rend(); ++it) {
    if (std::get<std::uint64_t>(*it) < least) break;
    runs.push_back(std::get<Pfn>(*it));
  }
  return runs;
}

std::uint64_t KeyedPages::cached_in(Pfn first, std::uint64_t pages) const {
  std::uint64_t n = 0;
  for (auto it = pages_.lower_bound(first); it != pages_.end() && it->first - first < pages; ++it) {
    ++n;
  }
  return n;
}

std::uint64_t KeyedPages::in_pieces(Pfn first, unsigned order) const {
  const std::uint64_t piece = 1ull << order;
  std::uint64_t n = 0;
  for (std::uint64_t at = 0; at < run(first).pages(); at += piece) {
    if (cached_in(first + at, piece) == piece) n += piece;
  }
  return n;
}

void KeyedPages::forget_run(Pfn first) {
  const Run run = runs_.at(first);
  leave(first, run);
  runs_.erase(first);
  for (auto it = pages_.lower_bound(first); it != pages_.end() && it->first - first < run.pages();
       ++it) {
    loose_.insert(it->first);
  }
}

void KeyedPages::remove_run(Pfn first) {
  const Run run = runs_.at(first);
  leave(first, run);
  runs_.erase(first);
  for (std::uint64_t i = 0; i < run.pages(); ++i) unlink(first + i);
}

void KeyedPages::divide_run(Pfn first, unsigned order) {
  const Run run = runs_.at(first);
  leave(first, run);
  for (std::uint64_t at = 0; at < run.pages(); at += 1ull << order) {
    const Run piece{order, cached_in(first + at, 1ull << order)};
    runs_[first + at] = piece;
    enter(first + at, piece);
  }
}

// Halves, of which the one without the page is a run, as a buddy allocator makes them.
void KeyedPages::cut_out(Pfn pfn) {
  const auto run = find(pfn);
  if (run == runs_.end()) return;
  Pfn first = run->first;
  unsigned order = run->second.order;
  leave(first, run->second);
  runs_.erase(run);
  while (order-- > 0) {
    const std::uint64_t half = 1ull << order;
    const bool upper = pfn - first >= half;
    const Pfn rest = upper ? first : first + half;
    if (upper) first = first + half;
    const Run piece{order, cached_in(rest, half)};
    runs_[rest] = piece;
    enter(rest, piece);
  }
}

}  // namespace kpksim::kernel
