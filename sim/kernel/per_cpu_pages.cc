#include "sim/kernel/per_cpu_pages.h"

#include <bit>

#include "sim/base/types.h"

namespace kpksim::kernel {

namespace {

constexpr unsigned kScale = 5;  // CONFIG_PCP_BATCH_SCALE_MAX

}  // namespace

PcpLimits pcp_limits(std::uint64_t pages, unsigned cores, std::uint64_t most) {
  constexpr std::uint64_t kMostBytes = 1 << 20, kPartOfZone = 1024;
  std::uint64_t batch = std::min(pages / kPartOfZone, kMostBytes / kPageSize) / 4;
  batch = std::max<std::uint64_t>(batch, 1);
  batch = std::max<std::uint64_t>(std::bit_floor(batch + batch / 2) - 1, 1);
  // __setup_per_zone_wmarks(), with what khugepaged recommends to keep free
  // (set_recommended_min_free_kbytes()): eleven blocks, but at most a twentieth.
  constexpr std::uint64_t kBlock = 1ull << (kPmdShift - kPageShift), kBlocksFree = 2 + 3 * 3;
  const std::uint64_t min = std::min(kBlocksFree * kBlock, pages / 20);
  const std::uint64_t low = min + std::max(min / 4, pages / 1000);  // watermark_scale_factor: 0.1 %
  constexpr std::uint64_t kHighFraction = 8;  // MIN_PERCPU_PAGELIST_HIGH_FRACTION
  const std::uint64_t least = batch * 4;
  const std::uint64_t high_max = std::max(std::min(pages / kHighFraction / cores, most), least);
  return {static_cast<unsigned>(batch), std::clamp(low / cores, least, high_max), high_max};
}

std::uint64_t PerCpuPages::refill(const PcpLimits& limits, unsigned order) {
  high_ = std::max(high_, limits.high_min);
  std::uint64_t batch = limits.batch;
  if (order == 0) batch <<= alloc_factor_;
  high_ = std::min(high_ + batch, limits.high_max);
  if (order == 0) {
    // Each refill doubles the next one, until a page is freed.
    const std::uint64_t room = high_ - std::min(high_, count + limits.batch);
    const std::uint64_t most = std::max<std::uint64_t>(room, limits.batch);
    if (batch <= most && alloc_factor_ < kScale) ++alloc_factor_;
    batch = std::min(batch, most);
  }
  return batch > 1 ? std::max<std::uint64_t>(batch >> order, 2) : 1;
}

std::uint64_t PerCpuPages::overflow(const PcpLimits& limits, unsigned order) {
  const std::uint64_t scaled = std::uint64_t{limits.batch} << kScale;
  alloc_factor_ >>= 1;
  // Runs that keep memory from becoming whole blocks do not stay where many are freed.
  const bool high_order = order != 0 && order <= kCostlyOrder;
  const bool all = high_order && freed_high_order_ && freed_ >= limits.batch;
  freed_high_order_ = high_order;
  if (freed_ < scaled) freed_ += 1ull << order;
  const std::uint64_t high = high_ = std::max(high_, limits.high_min);
  if (all) {
    high_ = std::max(high - std::min(high, scaled), limits.high_min);
    return std::min(count, scaled);
  }
  if (count < high) return 0;
  // What is freed in a row fits, the next time.
  high_ = std::clamp(freed_ + limits.batch, high, limits.high_max);
  return std::clamp<std::uint64_t>(freed_, limits.batch, high - limits.batch);
}

}  // namespace kpksim::kernel
