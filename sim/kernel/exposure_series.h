#pragma once
// Exposure over time, where cores are interleaved: which cores could have written page tables,
// whose, and when. The time so far is cut into equal parts, of which there are at most kParts:
// where more would be needed, two become one.

#include <array>
#include <cstdint>
#include <vector>

namespace kpksim::kernel {

__extension__ using ByteMillicycles = unsigned __int128;
inline constexpr std::uint64_t kMillicyclesPerKilocycle = 1'000'000;

// Whose tables: of the process whose address space the core has, of the kernel, of other processes.
enum class TableOwner : std::uint8_t { kOwn, kKernel, kOther };
inline constexpr std::size_t kTableOwners = 3;

// Byte-millicycles by owner.
struct ExposureAmounts {
  std::array<ByteMillicycles, kTableOwners> at_rest{}, in_windows{};
  ExposureAmounts& operator+=(const ExposureAmounts& o);
};

class ExposureSeries {
 public:
  static constexpr std::size_t kParts = 64;

  // Begins anew at `time`.
  void begin(std::uint64_t time, std::size_t cores);
  // A core had these amounts from `from` to `to`, evenly.
  void add(unsigned core, std::uint64_t from, std::uint64_t to, const ExposureAmounts& amounts);

  std::uint64_t part_millicycles() const { return width_; }
  const std::vector<ExposureAmounts>& parts() const { return parts_; }
  const std::vector<ExposureAmounts>& cores() const { return cores_; }

 private:
  void widen();

  std::uint64_t begin_ = 0, width_ = 0;
  std::vector<ExposureAmounts> parts_, cores_;
};

}  // namespace kpksim::kernel
