#pragma once
// Sizes as users write them: "4096", "64K", "1G", "16MiB".

#include <cstdint>
#include <string>
#include <string_view>

namespace kpksim::workload {

// The largest size a workload may name: the 47-bit half of the address space (128T).
inline constexpr std::uint64_t kMaxSize = 1ull << 47;

// The number of bytes that `text` says: decimal digits and optionally K, M, G or T, or KiB, MiB,
// GiB or TiB, in either case (all powers of 1024). Anything else, or more than 64 bits, is an
// InputError that begins with `place`. KB and MB are refused: for some they are powers of 1000.
std::uint64_t parse_size(std::string_view text, std::string_view place);

}  // namespace kpksim::workload
