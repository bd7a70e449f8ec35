#include "sim/kernel/span.h"

namespace kpksim::kernel {

void Span::begin(Taps& taps) {
  taps_ = &taps;
  begun_ = core_.time();
  number_ = ++taps.spans;
  outer_ = taps.innermost;
  taps.innermost = this;
  taps.observer->begun(*this);
}

// An activity that is taken apart where it was left is no longer the one that runs: nothing is said
// of it. And the observer may have gone.
void Span::end() {
  if (taps_->innermost != this) return;
  if (taps_->observer != nullptr) taps_->observer->ending(*this);
  taps_->innermost = outer_;
}

}  // namespace kpksim::kernel
