// mmap() and the other calls that change an address space.

#include "sim/kernel/hugetlb.h"
#include "sim/workload/json_reader.h"

namespace kpksim::workload {
namespace {

std::uint8_t prot_of(const std::string& letters) {
  if (letters == "none") return kProtNone;
  unsigned prot = 0;
  for (const char c : letters) prot |= c == 'r' ? kProtRead : c == 'w' ? kProtWrite : kProtExec;
  return static_cast<std::uint8_t>(prot);
}

const std::map<std::string, Advice> kAdvice = {{"other", Advice::kOther},
                                               {"dontneed", Advice::kDontNeed},
                                               {"dontneed_locked", Advice::kDontNeedLocked},
                                               {"hugepage", Advice::kHugepage},
                                               {"nohugepage", Advice::kNoHugepage},
                                               {"free", Advice::kFree},
                                               {"dontfork", Advice::kDontFork},
                                               {"dofork", Advice::kDoFork},
                                               {"cold", Advice::kCold},
                                               {"collapse", Advice::kCollapse},
                                               {"pageout", Advice::kPageout},
                                               {"wipeonfork", Advice::kWipeOnFork},
                                               {"keeponfork", Advice::kKeepOnFork},
                                               {"guard_install", Advice::kGuardInstall},
                                               {"guard_remove", Advice::kGuardRemove},
                                               {"populate_read", Advice::kPopulateRead},
                                               {"populate_write", Advice::kPopulateWrite}};

}  // namespace

void JsonOperations::Reader::mmap(From from, Task task, Operation& op) {
  op.length = from.pages("size");
  op.prot = prot_of(from.text("prot", "rw"));
  op.shared = from.object.value("shared", false);
  op.fixed = from.object.value("fixed", false);
  op.populate = from.object.value("populate", false);
  op.locked = from.object.value("locked", false);
  op.grows_down = from.object.value("stack", false);
  op.file = from.has("file");
  op.shmem = from.object.value("in_memory", false);
  if (op.shmem && !op.file) from.fail("in_memory", "only a mapping with file has it");
  if (op.file) {
    op.file_id = file_ids_[from.text("file")];
    const auto [known, fresh] = in_memory_.try_emplace(from.text("file"), op.shmem);
    if (known->second != op.shmem) {
      from.fail("in_memory", "another mapping of this file says otherwise");
    }
  }
  op.unnamed = from.object.value("closed", false);
  if (op.unnamed && !op.shmem) from.fail("closed", "only a file in memory goes with its users");
  op.file_offset = from.page_offset("offset");
  if (from.has("offset") && !op.file) from.fail("offset", "only a mapping with file has one");
  if (from.has("hugetlb")) hugetlb(from, op);
  if (from.has("at")) op.address = from.address("at", op.length);
  if (op.hugetlb != 0 && op.address % op.hugetlb != 0) {
    from.fail("at", "not a multiple of the huge pages' size");
  }
  if (op.fixed && op.address == 0) from.fail("fixed", "needs the address, as at");
  tasks_.map(task, from.text("region"), op.length, from.at("region"));
}

void JsonOperations::Reader::hugetlb(From from, Operation& op) {
  op.hugetlb = hugetlb_bytes(from, "hugetlb");
  if (from.has("huge")) from.fail("hugetlb", "huge is about transparent huge pages");
  if (op.grows_down) from.fail("hugetlb", "a stack has none");
  if (op.length % op.hugetlb != 0) from.fail("size", "not a multiple of the huge pages' size");
  if (op.file_offset % op.hugetlb != 0) {
    from.fail("offset", "not a multiple of the huge pages' size");
  }
  if (op.file && !op.shmem) from.fail("hugetlb", "the file needs in_memory: hugetlbfs has no disk");
}

void JsonOperations::Reader::munmap(From from, Task task, Operation& op) {
  range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  tasks_.unmap(task, from.text("region"), op.address, op.length, from.at("region"));
}

void JsonOperations::Reader::mprotect(From from, Task task, Operation& op) {
  range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  op.prot = prot_of(from.text("prot"));
}

void JsonOperations::Reader::madvise(From from, Task task, Operation& op) {
  range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  if (from.text("advice") == "remove") {  // MADV_REMOVE is fallocate()
    op.kind = OpKind::kPunchHole;
  } else {
    op.advice = kAdvice.at(from.text("advice"));
  }
}

void JsonOperations::Reader::mremap(From from, Task task, Operation& op) {
  const std::string name = from.text("region");
  const Region& region = tasks_.region(task, name, from.at("region"));
  if (region.heap) from.fail("region", "is a heap; brk alone resizes it");
  range(from, region, op);
  op.new_length = from.pages("new_size");
  if (from.has("at")) op.new_address = from.address("at", op.new_length);
  op.dont_unmap = from.object.value("dont_unmap", false);
  if (op.dont_unmap && op.new_length != op.length) {
    from.fail("new_size", "a mapping that stays cannot get another size as it moves");
  }
  const bool stays = op.dont_unmap || op.length == 0;
  const std::string result = from.text("new_region", name.c_str());
  if (result == name && stays) {
    from.fail("region", "it stays: give the name of the new_region");
  }
  if (result == name && op.length != region.size) {
    from.fail("region", "to remap a part, give the name of the part's new_region");
  }
  op.new_region = region_id(result);
  if (!stays) tasks_.unmap(task, name, op.address, op.length, from.at("region"));
  const char* const named_by = from.has("new_region") ? "new_region" : "region";
  tasks_.map(task, result, op.new_length, from.at(named_by));
}

void JsonOperations::Reader::mlock(From from, Task task, Operation& op) {
  part(from, task, op);
  op.on_fault = from.object.value("on_fault", false);
}

void JsonOperations::Reader::mlockall(From from, Task, Operation& op) {
  op.current = from.object.value("current", false);
  op.future = from.object.value("future", false);
  op.on_fault = from.object.value("on_fault", false);
  if (!op.current && !op.future) from.fail("op", "needs current, future or both");
}

void JsonOperations::Reader::part(From from, Task task, Operation& op) {
  range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
}

void JsonOperations::Reader::brk(From from, Task task, Operation& op) {
  op.length = from.pages("size");
  op.shrink = from.object.value("shrink", false);
  if (op.shrink) {
    tasks_.shrink_heap(task, from.text("region"), op.length, from.place);
  } else {
    tasks_.grow_heap(task, from.text("region"), op.length, from.at("region"));
  }
}

std::uint64_t JsonOperations::Reader::hugetlb_bytes(From from, const char* key) {
  const std::uint64_t bytes = from.size(key);
  if (kernel::find_hugetlb_size(bytes) == nullptr) {
    from.fail(key, "arm64 with 4 KB pages has huge pages of 64K, 2M, 32M and 1G");
  }
  return bytes;
}

}  // namespace kpksim::workload
