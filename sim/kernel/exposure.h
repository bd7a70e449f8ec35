#pragma once
// Exposure: how many bytes of page tables a stray store of a core could have written, for how long.
// A stray store goes through the linear map at EL1. Whether it succeeds is read from the tables and
// from the register that was in force, never from what a policy says of itself.
//
// The sum is exact where one core runs at a time: whenever the tables in use, their entries in the
// linear map or a core's address space change, what has passed since is added up. Where cores are
// interleaved, this core's part is added up at each change that it makes itself; what others change
// meanwhile counts with the number of tables that there was on average, over what the core has done
// since.

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "sim/base/types.h"
#include "sim/cpu/core.h"
#include "sim/kernel/exposure_series.h"
#include "sim/kernel/linear_map.h"

namespace kpksim::kernel {

// Of a run so far, over all cores. Byte-millicycles by owner in 128 bits: 16 MB of tables on 128
// cores for an hour of 3 GHz are 2e25.
struct ExposureSums {
  std::array<ByteMillicycles, kTableOwners> at_rest{}, in_windows{};
  cpu::Windows windows;  // of registers, and of pages that were made writable for a while
};
// What one of two readings has more than an earlier one; the largest windows are the later one's.
ExposureSums exposure_since(const ExposureSums& before, const ExposureSums& now);
// Two stretches of time one after the other.
void append_exposure(ExposureSums& sum, const ExposureSums& next);

class Exposure final : public LinearMapObserver {
 public:
  Exposure(cpu::Machine& machine, const LinearMap& linear_map);

  // A table of the process with this root, or of the kernel (the linear map's root), is in use from
  // now on; or no longer. A process begins with its root itself.
  void add(Pfn table, Pfn root);
  // The linear map's first tables, neighbours that it maps alike, for good.
  void add_boot_tables(Pfn first, std::uint64_t count);
  // swapper_pg_dir, for good. It lies in the kernel image, whose alias in a real linear map is
  // read-only, and is written through a fixmap: the model's own entry for it says nothing.
  void add_swapper();
  void remove(Pfn table);
  // The entries in the linear map of these pages have changed.
  void changed(Pfn first, std::uint64_t count) override;
  // The page is as it is now to stay: it is not open for a while.
  void stays(Pfn table);
  void split(Pfn table) override { add(table, linear_map_.root()); }
  void joined(Pfn table) override { remove(table); }
  // This core is the one that runs; it has this address space from now on.
  void runs(unsigned core);
  void switch_to(unsigned core, Pfn root);

  // Could a stray store of `core` write this page with the registers as they are at rest?
  bool writable_at_rest(const cpu::Core& core, Pfn table) const {
    const std::uint64_t raw = attributes_of(table);
    return raw != 0 && writable(core, raw, core.at_rest());
  }

  // Bytes of tables in use that a stray store of `core` could write with its registers as they are
  // now. For onlookers.
  std::uint64_t writable_now(const cpu::Core& core) const;

  ExposureSums sums();
  // Where cores are interleaved: from now on.
  void begin_series();
  const ExposureSeries& series() const { return series_; }
  // From now on the largest windows are those that come.
  void forget_largest();

 private:
  // How the linear map maps a table: the attributes of its entry there.
  struct Attributes {
    std::uint64_t raw = 0;  // 0: not mapped
    bool shown = false;     // it has become writable after it was not: a window for this page

    auto operator<=>(const Attributes&) const = default;
  };
  // How many tables; and where cores are interleaved, that number added up over time.
  struct Cell {
    std::uint64_t tables = 0;
    ByteMillicycles integral = 0;
    std::uint64_t since = 0;

    ByteMillicycles at(std::uint64_t time) const;
    void change(std::uint64_t time) {
      integral = at(time);
      since = time;
    }
  };
  using Counts = std::map<Attributes, Cell>;
  using Integrals = std::map<Attributes, ByteMillicycles>;
  // The kernel is 0. A root's page may be another process's soon, while tables still wait for RCU.
  using OwnerId = std::uint32_t;
  struct Table {
    OwnerId owner = 0;
    Attributes attributes;
    std::uint64_t since = 0, stores = 0;  // of the page's window, if it is open
  };
  struct CoreState {
    OwnerId owner = 0;        // whose address space it has
    cpu::Core::Elapsed seen;  // up to when it is added up
    std::uint64_t time = 0;   // then; and what cells were
    Integrals all, kernel, owns;
  };
  struct Hash {
    std::size_t operator()(Pfn pfn) const { return pfn.value; }
  };

  void settle();
  void settle(unsigned core);
  std::uint64_t attributes_of(Pfn table) const;
  void count(const Table& table, std::uint64_t n);
  void uncount(const Table& table);
  bool writable(const cpu::Core& core, std::uint64_t raw, const mmu::WindowRegisters& window) const;
  // Adds `millicycles` of the core under these registers: `open` if they are a window's.
  void add_up(const cpu::Core& core, OwnerId own, const mmu::WindowRegisters& window, bool open,
              std::uint64_t millicycles);
  void add_up_shared(cpu::Core& core, CoreState& state, const cpu::Core::Elapsed& now);
  const Counts& of(OwnerId owner) const;
  std::uint64_t time() { return machine_.core(running_).time(); }

  cpu::Machine& machine_;
  const LinearMap& linear_map_;
  std::vector<CoreState> cores_;
  unsigned running_ = 0;
  std::vector<unsigned>
      unsettled_;  // cores that may have run since the last settle(), but that one
  std::unordered_map<Pfn, Table, Hash> tables_;
  std::unordered_map<Pfn, OwnerId, Hash> owners_;  // by root
  OwnerId last_owner_ = 0;
  std::unordered_map<OwnerId, Counts> by_owner_;
  Counts all_;
  ExposureSums sums_;
  ExposureSeries series_;
};

}  // namespace kpksim::kernel
