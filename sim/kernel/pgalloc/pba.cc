// The pkeys block allocator of v6, for block-mapped linear maps: page tables as a client of a pool
// of marked pages (sim/kernel/keyed_pool.h), refilled by runs of order 9, 4 or 2. It zeroes a page
// when it hands it out, in a window of its own. Its share has the reserve for splits of the linear
// map.

#include <fmt/core.h>

#include "sim/kernel/cause.h"
#include "sim/kernel/keyed_pool.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class Pba final : public PageTableAllocator, private PoolClient {
 public:
  Pba(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context),
        orders_(p.numbers("orders")),
        as_ppa_(p.is_on("ppa")),
        pool_(context.buddy, orders_),
        pages_(pool_.join(*this, {p.number("reserve"), p.number("keep"), p.number("break")})) {}

  // pba_init() and pba_init_late()
  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    pages_.fill(core);
    if (as_ppa_) {
      mark_boot_ranges(core);
    } else {
      mark_boot_tables(core);
    }
  }

  // pba_prepare_direct_map_split()
  void prepare_split(cpu::Core& core) override { pages_.replenish(core); }
  Pfn allocate_for_split(cpu::Core&) override { return pages_.take_reserved(); }

  KeyedPool* pool() override { return &pool_; }

 private:
  void mark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    context_.protection.mark(core, first, count, TableKind::kPool);
  }
  void unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    context_.protection.unmark(core, first, count);
  }

  Pfn take(cpu::Core& core, TableKind) override {
    const Pfn pfn = pages_.take(core);
    zero_marked(core, pfn);
    return pfn;
  }
  void give_back(cpu::Core&, Pfn pfn) override { pages_.give_back(pfn); }

  std::uint64_t cached() const override { return pages_.cached(); }
  std::uint64_t shrinkable() const override { return pages_.shrinkable(); }
  std::uint64_t scan(cpu::Core& core, std::uint64_t count) override {
    return pages_.scan(core, count);
  }
  std::vector<OwnStatistic> own() const override {
    std::vector<OwnStatistic> out;
    out.reserve(orders_.size() + 4);
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
    // A pool with one client never does.
    if (pages_.borrowed() != 0) {
      out.push_back({"borrowed", "pages", "pages keyed anew, which another client had spare",
                     pages_.borrowed()});
    }
    return out;
  }

  const std::vector<std::uint64_t> orders_;
  const bool as_ppa_;
  KeyedPool pool_;
  KeyedPool::Share& pages_;
};

const Allocators::Entry registered{{
    .name = "pba",
    .description = "marked pages cached, refilled by runs (pkeys block allocator of v6)",
    .rank = 2,
    .natural = Granularity::kBlock,
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
                                    "of their last 2 MB back and splits that block")},
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
