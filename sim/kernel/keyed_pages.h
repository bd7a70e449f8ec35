#pragma once
// The pages that a share of a keyed pool has cached (sim/kernel/keyed_pool.h): which of them is
// handed out next, and which runs of them are whole.
//
// A run is what one call has keyed: 2^order neighbours. Leaves of the linear map end where it does,
// so that the whole of it can be unkeyed with one call that splits nothing. Anything less splits.
//
// Each step costs the logarithm of what is cached: a kernel would keep runs in an array by how many
// of their pages are free, as slabs are, and pay a constant.

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "sim/base/types.h"

namespace kpksim::kernel {

// Which page comes first.
// - kLifo: the one that came back last, as in v6. Its cache lines are warm. Where it lies does not
//   matter, so that pages in use end up in all runs, and hardly a run becomes whole.
// - kFullest: the lowest page of the run that has fewest left, and of a whole run last. Runs that
//   are nearly unused drain, and become whole. Pages of no run come before all: they make none.
// - kLowest: the lowest page of all. High runs drain. It needs no count for each run.
enum class HandOut : std::uint8_t { kLifo, kFullest, kLowest };

class KeyedPages {
 public:
  struct Run {
    unsigned order = 0;
    std::uint64_t cached = 0;  // of its pages

    std::uint64_t pages() const { return 1ull << order; }
    bool whole() const { return cached == pages(); }
  };
  // By first page. Runs do not overlap.
  using Runs = std::map<Pfn, Run>;

  explicit KeyedPages(HandOut order) : order_(order) {}

  std::uint64_t size() const { return newest_.size(); }
  bool empty() const { return newest_.empty(); }
  // The one that came back last first.
  const std::list<Pfn>& newest() const { return newest_; }
  Pfn oldest() const { return newest_.back(); }

  // A run, with none of its pages cached.
  void add_run(Pfn first, unsigned order);
  void put(Pfn pfn);
  // The next to be handed out. There is one.
  Pfn take();
  void remove(Pfn pfn);

  // The run of a page; none: its run was forgotten, or it was never part of one.
  std::optional<Pfn> run_of(Pfn pfn) const;
  const Run& run(Pfn first) const { return runs_.at(first); }
  // Cached pages in runs that are whole.
  std::uint64_t whole_pages() const { return whole_pages_; }
  // The largest whole run of at most `most` pages; of several the highest.
  std::optional<Pfn> whole_run(std::uint64_t most) const;
  // The runs that are not whole, from the one with most cached pages to those with `least`.
  std::list<Pfn> partly_free(std::uint64_t least) const;
  // Pages of a run in neighbours of 2^order that are all cached.
  std::uint64_t in_pieces(Pfn first, unsigned order) const;

  // The run is none from now on: its pages, also those that come back later, are of no run.
  void forget_run(Pfn first);
  // A whole run leaves the cache.
  void remove_run(Pfn first);
  // Runs of 2^order instead of a larger one.
  void divide_run(Pfn first, unsigned order);
  // The largest runs that there are around a page that is cached no longer, instead of its run.
  void cut_out(Pfn pfn);

 private:
  using Rank = std::tuple<bool, std::uint64_t, Pfn>;  // whole, cached pages, first page

  static Rank rank(Pfn first, const Run& run) { return {run.whole(), run.cached, first}; }
  Runs::iterator find(Pfn pfn);
  Runs::const_iterator find(Pfn pfn) const;
  Pfn next() const;
  void unlink(Pfn pfn);
  // One more page of the run is cached, or one less.
  void change(Runs::iterator run, bool more);
  void enter(Pfn first, const Run& run);
  void leave(Pfn first, const Run& run);
  std::uint64_t cached_in(Pfn first, std::uint64_t pages) const;

  const HandOut order_;
  std::list<Pfn> newest_;
  std::map<Pfn, std::list<Pfn>::iterator> pages_;  // by address
  std::set<Pfn> loose_;                            // cached, of no run
  Runs runs_;
  std::set<Rank> ranked_;  // runs of which a page is cached: the fullest first, whole ones last
  std::uint64_t whole_pages_ = 0;
};

}  // namespace kpksim::kernel
