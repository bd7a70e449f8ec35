// The pkeys block allocator of v6, for block-mapped linear maps: page tables as a client of a pool
// of marked pages (sim/kernel/keyed_pool.h), refilled by runs of order 9, 4 or 2. It zeroes a page
// when it hands it out, in a window of its own. Its share has the reserve for splits of the linear
// map.

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "sim/kernel/cause.h"
#include "sim/kernel/keyed_pool.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/pgalloc/held_pages.h"

namespace kpksim::kernel {
namespace {

// As HandOut and ShrinkRule have them.
const std::vector<std::string_view> kHandOuts = {"lifo", "fullest", "lowest"};
const std::vector<std::string_view> kShrinkRules = {"v6", "runs", "pieces", "idle"};
std::size_t place(const std::vector<std::string_view>& names, std::string_view name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

// Documents that were written before name them where they were given alone.
ParameterInfo quiet(ParameterInfo info) {
  info.quiet = true;
  return info;
}

class Pba final : public PageTableAllocator, private PoolClient {
 public:
  Pba(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context),
        orders_(p.numbers("orders")),
        as_ppa_(p.is_on("ppa")),
        by_runs_(p.choice("shrink") != "v6"),
        counts_held_(p.is_on("held")),
        pool_(context.buddy, orders_),
        pages_(pool_.join(*this, settings(p))) {}

  // pba_init() and pba_init_late()
  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    if (counts_held_) held_.emplace(core.machine());
    pages_.fill(core);
    if (as_ppa_) {
      mark_boot_ranges(core);
    } else {
      mark_boot_tables(core);
    }
  }

  // pba_prepare_direct_map_split()
  void prepare_split(cpu::Core& core) override {
    settle();
    pages_.replenish(core);
  }
  Pfn allocate_for_split(cpu::Core&) override {
    settle();
    return pages_.take_reserved();
  }

  void take_back(cpu::Core&, Pfn table) override {
    settle();
    pages_.give_back(table);
  }

  KeyedPool* pool() override { return &pool_; }

 private:
  void mark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    context_.protection.mark(core, first, count, TableKind::kPool);
  }
  void unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    context_.protection.unmark(core, first, count);
  }

  Pfn take(cpu::Core& core, TableKind) override {
    settle();
    const Pfn pfn = pages_.take(core);
    zero_marked(core, pfn);
    return pfn;
  }
  void give_back(cpu::Core&, Pfn pfn) override {
    settle();
    pages_.give_back(pfn);
  }

  std::uint64_t cached() const override { return pages_.cached(); }
  std::uint64_t shrinkable() const override { return pages_.shrinkable(); }
  std::uint64_t scan(cpu::Core& core, std::uint64_t count) override {
    settle();
    return pages_.scan(core, count);
  }
  std::vector<OwnStatistic> own() const override {
    std::vector<OwnStatistic> out;
    out.reserve(orders_.size() + 8);
    for (std::size_t i = 0; i < orders_.size(); ++i) {
      out.push_back({fmt::format("refills_order_{}", orders_[i]), "refills",
                     fmt::format("refills with {} pages", 1u << orders_[i]), pages_.refills(i)});
    }
    out.push_back(
        {"replenished", "refills", "refills of the reserve before a split", pages_.replenished()});
    out.push_back({"shrunk_blocks", "blocks", "2 MB blocks released by the shrinker",
                   pages_.shrunk_blocks()});
    out.push_back(
        {"shrunk_pages", "pages", "single pages released by the shrinker", pages_.shrunk_pages()});
    if (by_runs_ || counts_held_) {
      out.push_back({"shrunk_runs", "runs", "smaller runs released whole by the shrinker",
                     pages_.shrunk_runs()});
      out.push_back({"broken", "blocks", "2 MB blocks taken apart by it", pages_.broken()});
    }
    if (held_) {
      out.push_back(
          {"held_most", "pages", "most pages held since boot", held_->most(pages_.cached()), true});
      out.push_back({"held_time", "page-cycles", "pages held, added up over time",
                     held_->page_cycles(pages_.cached())});
    }
    // A pool with one client never does.
    if (pages_.borrowed() != 0) {
      out.push_back({"borrowed", "pages", "pages keyed anew, which another client had spare",
                     pages_.borrowed()});
    }
    return out;
  }

  static KeyedPool::Settings settings(const Parameters& p) {
    KeyedPool::Settings s{p.number("reserve"), p.number("keep"), p.number("break")};
    s.handout = static_cast<HandOut>(place(kHandOuts, p.choice("handout")));
    s.shrink = static_cast<ShrinkRule>(place(kShrinkRules, p.choice("shrink")));
    return s;
  }
  void settle() {
    if (held_) held_->settle(pages_.cached());
  }

  const std::vector<std::uint64_t> orders_;
  const bool as_ppa_, by_runs_, counts_held_;
  KeyedPool pool_;
  KeyedPool::Share& pages_;
  std::optional<HeldPages> held_;  // of a machine that runs
};

const Allocators::Entry pba_entry{{
    .name = "pba",
    .description = "marked pages cached, refilled by runs (pkeys block allocator of v6)",
    .rank = 2,
    .natural = Granularity::kBlock,
    .rejoins = true,
    .pools = true,
    .lends = true,
    .parameters = {{"orders", "order of a run", "sizes of a refill, tried from the first on",
                    "9/4/2", ParameterInfo::Kind::kNumbers, 2, 9},
                   {"reserve", "pages", "kept for splits of the linear map", "4",
                    ParameterInfo::Kind::kNumber, 4, 4096},
                   {"keep", "pages", "that the shrinker leaves", "16", ParameterInfo::Kind::kNumber,
                    4, 1u << 20},
                   {"break", "free pages", "from which on the shrinker takes a block apart", "64",
                    ParameterInfo::Kind::kNumber, 1, 512},
                   switch_parameter("ppa",
                                    "boot's tables as ppa:form=v6 has them, which gives the rest "
                                    "of their last 2 MB back and splits that block"),
                   quiet(choice_parameter("handout",
                                          "which page is next: the last that came back, the lowest "
                                          "of the run with fewest left, or the lowest of all",
                                          "lifo", kHandOuts)),
                   quiet(choice_parameter("shrink",
                                          "what the shrinker gives back (sim/kernel/keyed_pool.h)",
                                          "v6", kShrinkRules)),
                   quiet(switch_parameter("held", "count the pages held over time, and the most"))},
    .early =
        [](Granularity map, const Parameters& p) {
          return p.is_on("ppa") || map == Granularity::kBlock ? EarlyTables::kRanges
                                                              : EarlyTables::kPages;
        },
    .against = [](Granularity map) -> std::string_view {
      if (map != Granularity::kPte) return {};
      return "it is for a linear map of blocks; with 'pte' nothing is ever split, and 'per-page' "
             "is what the series uses";
    },
    .make = make_allocator_of<Pba>,
}};

}  // namespace
}  // namespace kpksim::kernel
