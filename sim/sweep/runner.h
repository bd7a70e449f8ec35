#pragma once
// Executes the missing points of a sweep on several threads. What a point is, it does not know.

#include <atomic>
#include <cstdint>
#include <functional>

#include "sim/sweep/store.h"

namespace kpksim::sweep {

// Which points are this task's: those whose number leaves `index` when divided by `count`. So the
// shards are of one size and, where settings change the work, of about one length.
struct Shard {
  Point index = 0, count = 1;

  bool has(Point point) const { return point % count == index; }
  // How many of the first `points`.
  Point size(Point points) const { return points / count + (points % count > index ? 1 : 0); }
};

struct Task {
  Shard shard;
  unsigned jobs = 1;
  // The row of one point. Called by several threads.
  std::function<Row(Point)> evaluate;
  // Called for each point that is done, with whether it failed. One call at a time.
  std::function<void(bool)> on_done = {};
  // Set from outside, also by a signal handler: no further point is begun.
  const std::atomic<bool>* stop = nullptr;
};

// Evaluates the points of the shard that the store has not, and adds their rows: a few times a
// second, and when it ends, so that a kill loses what the last moments computed and nothing else.
// Rethrows what evaluate() or the store threw, after what is done has been kept if it can be.
void run_missing(Store& store, const Task& task);

}  // namespace kpksim::sweep
