#pragma once
// Random programs of several processes and threads, valid in the workload's order, for tests of
// interleaved cores. Used within rc::check().

#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/workload/operation.h"

namespace kpksim::workload {

struct Choice {
  unsigned what, task, region, first, pages;
};

inline void showValue(const Choice& c, std::ostream& os) {
  os << "{" << c.what << ", " << c.task << ", " << c.region << ", " << c.first << ", " << c.pages
     << "}";
}

inline rc::Gen<Choice> choice() {
  return rc::gen::apply(
      [](unsigned what, unsigned task, unsigned region, unsigned first, unsigned pages) {
        return Choice{what, task, region, first, pages};
      },
      rc::gen::inRange(0u, 16u), rc::gen::inRange(0u, 64u), rc::gen::inRange(0u, 64u),
      rc::gen::inRange(0u, 512u), rc::gen::element(1u, 2u, 7u, 64u, 256u));
}

// Makes a workload of choices: what is chosen is bent to what there is at that point.
class ProgramMaker {
 public:
  explicit ProgramMaker(bool huge) : huge_(huge) {
    for (TaskId id = 1; id <= 3; ++id) {
      op(OpKind::kSpawn, id);
      processes_.push_back({{id}, {}});
    }
  }

  void add(const Choice& c) {
    Process& p = processes_[c.task % processes_.size()];
    const TaskId task = p.threads[c.task / 8 % p.threads.size()];
    if (c.what == 0 || p.regions.empty()) return map(p, task, c);
    const RegionId region = p.regions[c.region % p.regions.size()];
    switch (c.what) {
      case 1:
        part(op(OpKind::kMunmap, task), region, {c.what, c.task, c.region, 0, kPages});
        std::erase(p.regions, region);
        break;
      case 2:
        part(op(OpKind::kMprotect, task), region, c).prot = kProtRead | kProtWrite;
        break;
      case 3:
        part(op(OpKind::kMadvise, task), region, c).advice = Advice::kDontNeed;
        break;
      case 4:
        fork(p, task);
        break;
      case 5:
        thread(p, task);
        break;
      case 6:
        op(OpKind::kMigrate, task).count = c.first;
        break;
      case 7:
        part(op(OpKind::kMadvise, task), region, c).advice = Advice::kPopulateWrite;
        break;
      case 8:
        part(op(OpKind::kMadvise, task), region, c).advice =
            c.first % 2 == 0 ? Advice::kFree : Advice::kPageout;
        break;
      default:
        touch(task, region, c);
    }
  }

  Workload workload() {
    for (const Process& p : processes_) {
      for (const TaskId task : p.threads) op(OpKind::kExit, task);
    }
    Workload w;
    w.name = "random";
    w.phases.push_back({"all", std::move(steps_)});
    return w;
  }

 private:
  static constexpr unsigned kPages = 1024;
  struct Process {
    std::vector<TaskId> threads;
    std::vector<RegionId> regions;
  };

  Operation& op(OpKind kind, TaskId task) {
    steps_.emplace_back();
    Operation& o = steps_.back().op;
    o.kind = kind;
    o.task = task;
    o.may_fail = true;
    return o;
  }
  static Operation& part(Operation& o, RegionId region, const Choice& c) {
    o.region = region;
    o.address = c.first * kPageSize;
    o.length = std::min(c.pages, kPages - c.first) * kPageSize;
    return o;
  }
  void map(Process& p, TaskId task, const Choice& c) {
    Operation& o = op(OpKind::kMmap, task);
    o.region = ++last_region_;
    o.length = kPages * kPageSize;
    o.prot = kProtRead | kProtWrite;
    o.shared = c.first % 4 == 0;
    p.regions.push_back(o.region);
    if (huge_) return;
    Operation& advice = op(OpKind::kMadvise, task);
    advice.region = last_region_;
    advice.length = kPages * kPageSize;
    advice.advice = Advice::kNoHugepage;
  }
  void touch(TaskId task, RegionId region, const Choice& c) {
    Operation& o = part(op(OpKind::kTouch, task), region, c);
    o.write = c.what % 3 != 0;
  }
  // The child works on what it has in common with its parent, at once with it.
  void fork(const Process& p, TaskId task) {
    const TaskId child = ++last_task_;
    op(OpKind::kFork, task).child = child;
    for (const RegionId region : p.regions) touch(child, region, {10, 0, 0, child % 8, 64});
    op(OpKind::kExit, child);
    op(OpKind::kWait, task).child = child;
  }
  void thread(Process& p, TaskId task) {
    if (p.threads.size() == 4) return;
    p.threads.push_back(++last_task_);
    op(OpKind::kCloneThread, task).child = last_task_;
  }

  const bool huge_;
  std::vector<Step> steps_;
  std::vector<Process> processes_;
  TaskId last_task_ = 100;
  RegionId last_region_ = 100;
};

}  // namespace kpksim::workload
