// The cached pages of a pool: the order of hand-out that each setting promises, and which runs are
// whole, against a model that looks at every page each time.

#include "sim/kernel/keyed_pages.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace kpksim::kernel {
namespace {

// Pages in the order in which they came back, the last one last; runs by first page.
struct Naive {
  std::vector<Pfn> cached;
  std::map<Pfn, std::uint64_t> runs;

  bool has(Pfn pfn) const { return std::find(cached.begin(), cached.end(), pfn) != cached.end(); }
  // The first page of a run; the page itself if it is of none.
  std::pair<bool, Pfn> run_of(Pfn pfn) const {
    for (const auto& [first, pages] : runs) {
      if (first <= pfn && pfn - first < pages) return {true, first};
    }
    return {false, pfn};
  }
  std::uint64_t left(Pfn first) const {
    std::uint64_t n = 0;
    for (std::uint64_t i = 0; i < runs.at(first); ++i) n += has(first + i) ? 1 : 0;
    return n;
  }
  bool whole(Pfn first) const { return left(first) == runs.at(first); }

  // What makes a page come before another one; the lower address where it is the same.
  std::tuple<bool, bool, std::uint64_t, Pfn> fullness(Pfn pfn) const {
    const auto [in_run, first] = run_of(pfn);
    if (!in_run) return {false, false, 0, Pfn(0)};
    return {true, whole(first), left(first), first};
  }
  Pfn next(HandOut order) const {
    if (order == HandOut::kLifo) return cached.back();
    if (order == HandOut::kLowest) return *std::min_element(cached.begin(), cached.end());
    return *std::min_element(cached.begin(), cached.end(), [&](Pfn a, Pfn b) {
      return std::pair(fullness(a), a) < std::pair(fullness(b), b);
    });
  }
  std::optional<Pfn> whole_run(std::uint64_t most) const {
    std::optional<Pfn> best;
    for (const auto& [first, pages] : runs) {
      if (pages <= most && whole(first) && (!best || pages >= runs.at(*best))) best = first;
    }
    return best;
  }
  std::uint64_t whole_pages() const {
    std::uint64_t n = 0;
    for (const auto& [first, pages] : runs) n += whole(first) ? pages : 0;
    return n;
  }
  void remove(Pfn pfn) { cached.erase(std::find(cached.begin(), cached.end(), pfn)); }
};

void random_life(HandOut order) {
  KeyedPages pages(order);
  Naive naive;
  std::vector<Pfn> out;
  Pfn end{512};
  const auto take_out = [&](Pfn pfn) {
    std::swap(*std::find(out.begin(), out.end(), pfn), out.back());
    out.pop_back();
  };
  const auto steps = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
      120, rc::gen::pair(rc::gen::inRange(0u, 12u), rc::gen::inRange(0u, 1000u)));
  for (const auto& [what, n] : steps) {
    if (what == 0) {  // a run, of which the first page is in use
      const unsigned run_order = n % 6;
      pages.add_run(end, run_order);
      naive.runs[end] = 1ull << run_order;
      out.push_back(end);
      for (std::uint64_t i = 1; i < 1ull << run_order; ++i) {
        pages.put(end + i);
        naive.cached.push_back(end + i);
      }
      end += 32;
    } else if (what <= 4 && !pages.empty()) {
      const Pfn expected = naive.next(order);
      RC_ASSERT(pages.take() == expected);
      naive.remove(expected);
      out.push_back(expected);
    } else if (what <= 8 && !out.empty()) {
      const Pfn back = out[n % out.size()];
      take_out(back);
      pages.put(back);
      naive.cached.push_back(back);
    } else if (what == 9 && !naive.runs.empty()) {
      auto run = naive.runs.begin();
      std::advance(run, n % naive.runs.size());
      if (n % 2 == 0) {
        pages.forget_run(run->first);
      } else {
        const auto [first, count] = *run;
        const unsigned piece = count >= 4 ? 1 : 0;
        pages.divide_run(first, piece);
        for (std::uint64_t i = 0; i < count; i += 1ull << piece) {
          naive.runs[first + i] = 1ull << piece;
        }
        continue;
      }
      naive.runs.erase(run);
    } else if (what == 10 && pages.whole_run(n % 40)) {
      const Pfn first = *pages.whole_run(n % 40);
      for (std::uint64_t i = 0; i < naive.runs[first]; ++i) naive.remove(first + i);
      naive.runs.erase(first);
      pages.remove_run(first);
    } else if (what == 11 && !pages.empty()) {  // lent to another
      const Pfn oldest = pages.oldest();
      RC_ASSERT(oldest == naive.cached.front());
      pages.remove(oldest);
      pages.cut_out(oldest);
      naive.remove(oldest);
      if (auto [in_run, first] = naive.run_of(oldest); in_run) {
        std::uint64_t count = naive.runs[first];
        naive.runs.erase(first);
        for (; count > 1; count /= 2) {
          const bool upper = oldest - first >= count / 2;
          naive.runs[upper ? first : first + count / 2] = count / 2;
          if (upper) first = first + count / 2;
        }
      }
    }
    RC_ASSERT(pages.size() == naive.cached.size());
    RC_ASSERT(pages.whole_pages() == naive.whole_pages());
    RC_ASSERT(pages.whole_run(n % 40) == naive.whole_run(n % 40));
    for (const auto& [first, count] : naive.runs) {
      RC_ASSERT(pages.run(first).pages() == count);
      RC_ASSERT(pages.run(first).cached == naive.left(first));
    }
  }
}

RC_GTEST_PROP(KeyedPagesTest, LifoHandsOutWhatCameBackLast, ()) { random_life(HandOut::kLifo); }
RC_GTEST_PROP(KeyedPagesTest, FullestHandsOutOfTheRunWithFewestLeft_AndOfAWholeOneLast, ()) {
  random_life(HandOut::kFullest);
}
RC_GTEST_PROP(KeyedPagesTest, LowestHandsOutTheLowestPage, ()) { random_life(HandOut::kLowest); }

TEST(KeyedPagesTest, PartlyFreeRunsComeFromTheEmptiestDown_WithoutWholeOnes) {
  KeyedPages pages(HandOut::kLifo);
  for (std::uint64_t run = 0; run < 4; ++run) {
    pages.add_run(Pfn(run * 8), 3);
    for (std::uint64_t i = 0; i < 2 * run + 2; ++i) pages.put(Pfn(run * 8 + i));
  }
  EXPECT_EQ(pages.partly_free(4), (std::list<Pfn>{Pfn(16), Pfn(8)}));
  EXPECT_EQ(pages.partly_free(1), (std::list<Pfn>{Pfn(16), Pfn(8), Pfn(0)}));
}

TEST(KeyedPagesTest, PiecesAreAlignedNeighboursThatAreAllCached) {
  KeyedPages pages(HandOut::kLifo);
  pages.add_run(Pfn(32), 5);
  for (const std::uint64_t i : {1u, 2u, 3u, 4u, 8u, 9u, 10u, 11u, 13u, 14u, 15u, 16u})
    pages.put(Pfn(32 + i));
  EXPECT_EQ(pages.in_pieces(Pfn(32), 2), 4u);
  EXPECT_EQ(pages.in_pieces(Pfn(32), 1), 8u);  // 2-3, 8-9, 10-11, 14-15
}

}  // namespace
}  // namespace kpksim::kernel
