#include "sim/kernel/interleaving.h"

#include <algorithm>

namespace kpksim::kernel {

bool MmLocks::faults_in(std::uint64_t start, std::uint64_t end) const {
  return std::any_of(faults_.begin(), faults_.end(),
                     [&](std::uint64_t va) { return va >= start && va < end; });
}

void MmLocks::start_write(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  if (off()) return;
  core.turn(cpu::Seen::kByAddressSpace);
  written_.emplace_back(start, end);
  locks_->count(LockKind::kVma);
  if (!faults_in(start, end)) return;
  writer_ = &locks_->interleaver().current();
  writer_start_ = start;
  writer_end_ = end;
  locks_->wait(core, LockKind::kVma, false);
}

MmLocks::Fault::Fault(MmLocks& mm, std::uint64_t va, bool by_vma, cpu::Core& core)
    : mm_(mm), core_(core), va_(va) {
  if (mm_.off()) return;
  core.turn(cpu::Seen::kByAddressSpace);
  const bool write_locked =
      std::any_of(mm_.written_.begin(), mm_.written_.end(),
                  [&](const auto& range) { return va >= range.first && va < range.second; });
  if (!by_vma || write_locked) {
    mmap_.emplace(mm_.locks_, mm_.mmap_, core, Holding::How::kShared);
    return;
  }
  mm_.locks_->count(LockKind::kVma);
  mm_.faults_.push_back(va);
  vma_ = true;
}

MmLocks::Fault::~Fault() {
  if (!vma_ || mm_.off()) return;
  core_.turn(cpu::Seen::kByAddressSpace);
  mm_.faults_.erase(std::find(mm_.faults_.begin(), mm_.faults_.end(), va_));
  if (mm_.writer_ == nullptr || mm_.faults_in(mm_.writer_start_, mm_.writer_end_)) return;
  mm_.locks_->interleaver().wake(*std::exchange(mm_.writer_, nullptr), core_.time());
}

}  // namespace kpksim::kernel
