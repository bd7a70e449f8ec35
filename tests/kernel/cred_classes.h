#pragma once
// Credentials as one of several classes, for tests: the classes, their assignment, and a life in
// which credentials come and go.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/kernel/object/cred.h"
#include "sim/kernel/object/keyed_classes.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {

inline constexpr std::size_t kCredClass = 1, kCredContext = 1;  // behind page tables

// Page tables, credentials, and classes of `objects`; a context of each is entered by one of these
// calls.
inline Classes with_cred(std::size_t objects) {
  constexpr Trigger kEnteredBy[] = {Trigger::kOpen, Trigger::kStat, Trigger::kRead,
                                    Trigger::kSwitch};
  Classes out;
  for (const auto& [name, model] :
       {std::pair{"page_tables", ClassModel::kPageTables}, {"cred", ClassModel::kCred}}) {
    ProtectedClass c{name, "", model};
    c.object_bytes = model == ClassModel::kCred ? Creds::kBytes : 0;
    ClassContext sections;
    sections.name = name;
    sections.writes = {out.classes.size()};
    out.classes.push_back(c);
    out.contexts.push_back(sections);
  }
  for (std::size_t i = 0; i < objects; ++i) {
    ProtectedClass c{"class" + std::to_string(i), ""};
    c.objects = 100;
    c.object_bytes = 64;
    ClassContext writer;
    writer.name = "writer" + std::to_string(i);
    writer.writes = {out.classes.size()};
    writer.instructions = 200;
    writer.micro_entries[static_cast<std::size_t>(kEnteredBy[i % 4])] = 1'000'000;
    out.classes.push_back(c);
    out.contexts.push_back(writer);
  }
  return out;
}

inline pkrs::Assignment assigned(const Classes& classes, pkrs::Strategy strategy, unsigned budget) {
  const std::vector<std::uint64_t> alike(classes.contexts.size(), 1);
  return pkrs::assign(demand_of(classes, alike, 1 << 20), strategy, budget);
}

inline Config without_classes() {
  Config c = config("kpkeys-poe", false, "per-page", Granularity::kPte);
  c.memory_bytes = 256ull << 20;
  return c;
}
inline Config with_keys(const Classes& classes, const pkrs::Assignment& assignment,
                        bool unprotected = false) {
  Config c = without_classes();
  c.classes = std::make_shared<const ClassPlan>(ClassPlan{classes, unprotected, assignment});
  return c;
}

// What a compiler's driver does, and a task with threads that becomes somebody else.
inline void live_as_others(Kernel& k) {
  k.spawn(1);
  for (std::uint32_t id = 10; id < 30; ++id) {
    k.fork(1, id);
    k.exec(id);
    k.clone_thread(id, id + 100);
    k.system_call(id, {.kind = CallKind::kOpen, .components = 2});
    k.system_call(id + 100, {.kind = CallKind::kSetCred});
    k.system_call(id, {.kind = CallKind::kStat});
    k.system_call(id, {.kind = CallKind::kRead});
    k.exit(id + 100);
    if (id % 3 != 0) {
      k.exit(id);
      k.wait(1, id);
    }
  }
}
// The same of a task that is there, whose children live no longer than that.
inline void live_on(Kernel& k, std::uint32_t task) {
  for (std::uint32_t id = 200; id < 210; ++id) {
    k.fork(task, id);
    k.exec(id);
    for (const CallKind kind : {CallKind::kOpen, CallKind::kSetCred, CallKind::kStat}) {
      k.system_call(id, {.kind = kind, .components = 1});
    }
    k.exit(id);
    k.wait(task, id);
  }
}

}  // namespace kpksim::kernel
