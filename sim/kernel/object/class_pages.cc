#include "sim/kernel/object/class_pages.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {

ClassPages::ClassPages(Buddy& buddy, const ProtectedClass& of)
    : objects_(of.objects), words_each_((of.object_bytes + 7) / 8), bytes_(of.bytes()) {
  constexpr unsigned kLargest = kPmdShift - kPageShift;
  const std::uint64_t needed = align_up(words() * 8, kPageSize) >> kPageShift;
  while (pages_ < needed) {
    unsigned order =
        std::min<unsigned>(kLargest, static_cast<unsigned>(std::bit_width(needed - pages_)) - 1);
    std::optional<Pfn> run = buddy.allocate(order, Mobility::kUnmovable);
    while (!run && order != 0) run = buddy.allocate(--order, Mobility::kUnmovable);
    if (!run) {
      throw InputError(fmt::format("out of memory: '{}' has {} KB (give the machine more --memory)",
                                   of.name, of.bytes() >> 10));
    }
    runs_.push_back({*run, 1ull << order, pages_});
    pages_ += 1ull << order;
  }
}

void ClassPages::set_key(cpu::Core& core, LinearMap& map, const PkeyIndex& key) {
  const Because keying(core, Cause::kKeying);
  for (const Run& run : runs_) key_run(core, map, run.first, run.count, key);
}

PhysAddr ClassPages::word(std::uint64_t n) const {
  const std::uint64_t page = n * 8 >> kPageShift;
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), page,
                                      [](std::uint64_t p, const Run& r) { return p < r.before; });
  const Run& run = *std::prev(after);
  return address_of(run.first + (page - run.before)) + n * 8 % kPageSize;
}

}  // namespace kpksim::kernel
