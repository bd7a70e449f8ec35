#pragma once
// Kernel path lengths in instructions, from the instruction counts of a real 6.12 kernel's phases
// (defconfig-like, measured with guards off): total of the phase divided by its events.

#include <cstdint>

namespace kpksim::kernel::path {

inline constexpr std::uint64_t kAnonFault = 3000;      // first touch: 49.8 M / 16,384 faults
inline constexpr std::uint64_t kCowCopy = 3860;        // 63.3 M / 16,384
inline constexpr std::uint64_t kCowReuse = 1285;       // 21.0 M / 16,384
inline constexpr std::uint64_t kFileFault = 2500;      // estimated: between reuse and first touch
inline constexpr std::uint64_t kHugeFault = 324000;    // 10.39 M / 32, zeroing included
inline constexpr std::uint64_t kForkPte = 196;         // 51.5 M / 262,144
inline constexpr std::uint64_t kForkBase = 60000;      // estimated from fork_64m's remainder
inline constexpr std::uint64_t kZapPte = 1000;         // 16.7 M / 16,384 (shared pages)
inline constexpr std::uint64_t kFreePage = 380;        // munmap_1g: 361 M / 262,144 less kZapPte
inline constexpr std::uint64_t kMprotectPte = 125;     // 2.05 M / 16,384
inline constexpr std::uint64_t kMovePte = 150;         // estimated: as mprotect plus a store
inline constexpr std::uint64_t kTable = 800;           // estimated: allocate and construct
inline constexpr std::uint64_t kSyscall = 300;         // estimated: entry, dispatch, exit
inline constexpr std::uint64_t kVmaCall = 1500;        // estimated: mmap, munmap, mprotect of a VMA
inline constexpr std::uint64_t kExec = 200000;         // vfork_exec_x50: 19.6 M / 50, less faults
inline constexpr std::uint64_t kThread = 33000;        // clone_thread_x500: 17.1 M / 500
inline constexpr std::uint64_t kContextSwitch = 1500;  // estimated
inline constexpr std::uint64_t kVmalloc = 3500;        // estimated from vmalloc p1
inline constexpr std::uint64_t kVmallocPage = 840;     // (446.2 M / 2,000 - kVmalloc) / 256
inline constexpr std::uint64_t kVmMapRam = 900;        // vm_map_ram_p1: 18.5 M / 20,000

}  // namespace kpksim::kernel::path
