#include "sim/sweep/runner.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "sim/base/parallel.h"

namespace kpksim::sweep {
namespace {

constexpr Point kChunk = 4096;          // points that are looked up in the store at once
constexpr std::size_t kMostRows = 512;  // that wait for a commit
// A commit takes some milliseconds of disk, a point may take less than one.
constexpr auto kCommitEvery = std::chrono::milliseconds(100);

class Runner {
 public:
  Runner(Store& store, const Task& task) : store_(store), task_(task) {}

  void work() {
    try {
      for (Point point; next(point);) keep(task_.evaluate(point));
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  void finish() {
    if (!disk_failed_ && !rows_.empty()) store_.add(std::exchange(rows_, {}));
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // The next missing point of the shard.
  bool next(Point& point) {
    const std::scoped_lock lock(mutex_);
    if (error_ || (task_.stop != nullptr && *task_.stop)) return false;
    while (ahead_.empty()) {
      const Point points = store_.identity().points;
      if (looked_up_ >= points) return false;
      const Point end = std::min(points, looked_up_ + kChunk * task_.shard.count);
      look_up(looked_up_, end);
      looked_up_ = end;
    }
    point = ahead_.back();
    ahead_.pop_back();
    return true;
  }

  // Rows that wait for their commit are of points before `first`.
  void look_up(Point first, Point end) {
    const Shard& shard = task_.shard;
    std::vector<Point> done;
    {
      const std::scoped_lock lock(store_mutex_);
      done = store_.done(first, end);
    }
    const Point begin = first + (shard.index + shard.count - first % shard.count) % shard.count;
    for (Point p = begin; p < end; p += shard.count) {
      if (!std::binary_search(done.begin(), done.end(), p)) ahead_.push_back(p);
    }
    std::reverse(ahead_.begin(), ahead_.end());
  }

  void keep(Row row) {
    std::vector<Row> full;
    {
      const std::scoped_lock lock(mutex_);
      if (task_.on_done) task_.on_done(row.failed());
      rows_.push_back(std::move(row));
      const auto now = std::chrono::steady_clock::now();
      if (now < due_ && rows_.size() < kMostRows) return;
      due_ = now + kCommitEvery;
      full.swap(rows_);
    }
    // The other threads go on.
    const std::scoped_lock lock(store_mutex_);
    try {
      store_.add(full);
    } catch (...) {
      disk_failed_ = true;
      throw;
    }
  }

  Store& store_;
  const Task& task_;
  std::mutex mutex_, store_mutex_;  // of what is below; of store_
  std::vector<Point> ahead_;        // the last is next
  Point looked_up_ = 0;
  std::vector<Row> rows_;
  std::chrono::steady_clock::time_point due_ = std::chrono::steady_clock::now() + kCommitEvery;
  std::exception_ptr error_;
  std::atomic<bool> disk_failed_ = false;
};

}  // namespace

void run_missing(Store& store, const Task& task) {
  Runner runner(store, task);
  parallel_for(task.jobs, task.jobs, [&](std::size_t) { runner.work(); });
  runner.finish();
}

}  // namespace kpksim::sweep
