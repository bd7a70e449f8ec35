#include "sim/workload/json_operations.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <string_view>

#include "sim/base/error.h"
#include "sim/kernel/hugetlb.h"
#include "sim/workload/extent.h"
#include "sim/workload/json_source.h"

namespace kpksim::workload {
namespace {

using nlohmann::json;

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

const std::map<std::string, Segment> kSegments = {
    {"@text", Segment::kText},     {"@rodata", Segment::kRodata}, {"@data", Segment::kData},
    {"@bss", Segment::kBss},       {"@heap", Segment::kHeap},     {"@stack", Segment::kStack},
    {"@growth", Segment::kGrowth}, {"@vdso", Segment::kVdso}};

const std::map<std::string, Order> kOrder = {{"ascending", Order::kAscending},
                                             {"descending", Order::kDescending},
                                             {"random", Order::kRandom}};

const std::map<std::string, kernel::CallKind> kCalls = {
    {"null", kernel::CallKind::kNull},
    {"small", kernel::CallKind::kSmall},
    {"signal_mask", kernel::CallKind::kSignalMask},
    {"lookup", kernel::CallKind::kLookup},
    {"stat", kernel::CallKind::kStat},
    {"open", kernel::CallKind::kOpen},
    {"close", kernel::CallKind::kSmall},
    {"dup", kernel::CallKind::kSmall},
    {"read", kernel::CallKind::kRead},
    {"write", kernel::CallKind::kWrite},
    {"pipe", kernel::CallKind::kPipe},
    {"pipe_data", kernel::CallKind::kPipeData},
    {"socket_data", kernel::CallKind::kSocketData},
    {"poll", kernel::CallKind::kPoll},
    {"signal", kernel::CallKind::kSignal},
    {"getrandom", kernel::CallKind::kRandom},
    {"setuid", kernel::CallKind::kSetCred}};

}  // namespace

class JsonOperations::Reader {
 public:
  Reader(std::string path, std::unordered_map<std::string, std::uint32_t> lines, std::uint64_t seed)
      : path_(std::move(path)), lines_(std::move(lines)), seed_(seed) {}

  TaskTable& tasks() { return tasks_; }

  void set_program(const kernel::ProgramImage& image, Workload& workload) {
    std::vector<std::pair<std::string, std::uint64_t>> regions;
    for (const auto& [name, segment] : kSegments) {
      const std::uint64_t size = segment_of(image, {}, segment).length;
      if (size != 0) regions.emplace_back(name, size);
    }
    tasks_.set_image(std::move(regions));
    for (const auto& [name, segment] : kSegments) {
      workload.segments.emplace_back(region_id(name), segment);
    }
  }

  void set_names(Workload& workload) const {
    workload.task_names = task_ids_.all();
    workload.region_names = region_ids_.all();
  }

  // With "every", the operation is done again that many bytes further on, up to "end" or the
  // region's end.
  void read(const json& object, const std::string& pointer, std::vector<Step>& out) {
    const JsonSource from{object, fmt::format("{}: {}", path_, pointer)};
    if (!object.contains("every")) {
      if (from.has("end")) from.fail("end", "is where every stops; there is none");
      return operation(object, pointer, out);
    }
    const std::uint64_t step = from.pages("every");
    if (!from.has("size")) from.fail("every", "needs the size of each");
    tasks_.check_runs(from.text("task"), from.at("task"));
    std::uint64_t end =
        tasks_.region(from.text("task"), from.text("region"), from.at("region")).size;
    if (from.has("end")) {
      const std::uint64_t given = from.pages("end");
      if (given > end) {
        from.fail("end", fmt::format("{} is beyond the region's {} bytes", given, end));
      }
      if (given <= from.page_offset("offset")) from.fail("end", "nothing lies before it");
      end = given;
    }
    for (std::uint64_t at = from.page_offset("offset"); at < end; at += step) {
      json one = object;
      one["offset"] = at;
      operation(one, pointer, out);
    }
  }

 private:
  class Ids {
   public:
    std::uint32_t operator[](const std::string& name) {
      return ids_.emplace(name, static_cast<std::uint32_t>(ids_.size() + 1)).first->second;
    }
    const std::map<std::string, std::uint32_t>& all() const { return ids_; }

   private:
    std::map<std::string, std::uint32_t> ids_;
  };

  using Task = const std::string&;
  using From = const JsonSource&;

  // Fills in offset and length within a region; whole pages unless it is a touch.
  void range(const JsonSource& from, const Region& region, Operation& op) const {
    const bool bytes =
        op.kind == OpKind::kTouch || op.kind == OpKind::kSyscall || op.kind == OpKind::kStrayStore;
    op.address =
        bytes ? (from.has("offset") ? from.size("offset") : 0) : from.page_offset("offset");
    if (op.address >= region.size) {
      from.fail("offset",
                fmt::format("{} is beyond the region's {} bytes", op.address, region.size));
    }
    op.length = op.kind == OpKind::kStrayStore ? 1 : region.size - op.address;
    if (from.has("size")) {
      const bool may_be_none = op.kind == OpKind::kMremap;  // to duplicate
      const std::uint64_t size = bytes         ? from.positive("size")
                                 : may_be_none ? from.page_offset("size")
                                               : from.pages("size");
      if (size > op.length) {
        from.fail("size", fmt::format("{} bytes from offset {} on end beyond the region's {} bytes",
                                      size, op.address, region.size));
      }
      op.length = size;
    }
    if (op.kind != OpKind::kMunmap && !region.covers(op.address, op.length)) {
      from.fail("region", "a part of that range has been unmapped; give offset and size");
    }
  }

  void operation(const json& object, const std::string& pointer, std::vector<Step>& out) {
    const JsonSource from{object, fmt::format("{}: {}", path_, pointer)};
    Operation op;
    const auto line = lines_.find(pointer);
    op.line = line == lines_.end() ? 0 : line->second;
    const std::string name = object["op"].get<std::string>();
    const std::string task = from.text("task");
    if (name == "spawn") {
      tasks_.spawn(task, from.at("task"));
    } else if (from.has("task")) {
      tasks_.check_runs(task, from.at("task"));
    }
    if (from.has("task")) op.task = task_ids_[task];
    if (from.has("child")) op.child = task_ids_[from.text("child")];
    if (from.has("region")) op.region = region_id(from.text("region"));
    if (from.has("seed") || name == "touch" || name == "fragment") {
      op.seed = object.value("seed", seed_ * 1000003 + op.line);
    }
    op.kind = kinds().at(name).kind;
    (this->*kinds().at(name).read)(from, task, op);
    out.push_back({op, 1, {}});

    const std::string huge = name == "mmap" ? from.text("huge", "default") : "default";
    if (huge != "default") {
      Operation advise;
      advise.kind = OpKind::kMadvise;
      advise.advice = huge == "madvise" ? Advice::kHugepage : Advice::kNoHugepage;
      advise.line = op.line;
      advise.task = op.task;
      advise.region = op.region;
      advise.length = op.length;
      out.push_back({advise, 1, {}});
    }
  }

  struct Kind {
    OpKind kind;
    void (Reader::*read)(From, Task, Operation&);
  };

  static const std::map<std::string, Kind>& kinds() {
    static const std::map<std::string, Kind> table = {
        {"spawn", {OpKind::kSpawn, &Reader::nothing}},
        {"mmap", {OpKind::kMmap, &Reader::mmap}},
        {"munmap", {OpKind::kMunmap, &Reader::munmap}},
        {"mprotect", {OpKind::kMprotect, &Reader::mprotect}},
        {"madvise", {OpKind::kMadvise, &Reader::madvise}},
        {"mlock", {OpKind::kMlock, &Reader::mlock}},
        {"munlock", {OpKind::kMunlock, &Reader::part}},
        {"mlockall", {OpKind::kMlockAll, &Reader::mlockall}},
        {"munlockall", {OpKind::kMunlockAll, &Reader::nothing}},
        {"mremap", {OpKind::kMremap, &Reader::mremap}},
        {"brk", {OpKind::kBrk, &Reader::brk}},
        {"fork", {OpKind::kFork, &Reader::new_task}},
        {"vfork", {OpKind::kVfork, &Reader::new_task}},
        {"clone", {OpKind::kCloneThread, &Reader::new_task}},
        {"exec", {OpKind::kExec, &Reader::exec}},
        {"exit", {OpKind::kExit, &Reader::exit}},
        {"wait", {OpKind::kWait, &Reader::wait}},
        {"touch", {OpKind::kTouch, &Reader::touch}},
        {"stray_store", {OpKind::kStrayStore, &Reader::stray_store}},
        {"switch", {OpKind::kSwitch, &Reader::nothing}},
        {"migrate", {OpKind::kMigrate, &Reader::migrate}},
        {"syscall", {OpKind::kSyscall, &Reader::syscall}},
        {"vmalloc", {OpKind::kVmalloc, &Reader::kernel_map}},
        {"vfree", {OpKind::kVfree, &Reader::kernel_unmap}},
        {"vm_map_ram", {OpKind::kVmMapRam, &Reader::kernel_map}},
        {"vm_unmap_ram", {OpKind::kVmUnmapRam, &Reader::kernel_unmap}},
        {"vm_unmap_aliases", {OpKind::kVmUnmapAliases, &Reader::nothing}},
        {"idle", {OpKind::kIdle, &Reader::nothing}},
        {"pressure", {OpKind::kPressure, &Reader::nothing}},
        {"punch_hole", {OpKind::kPunchHole, &Reader::part}},
        {"truncate", {OpKind::kTruncate, &Reader::truncate}},
        {"close", {OpKind::kClose, &Reader::close}},
        {"hugepages", {OpKind::kHugepages, &Reader::hugepages}},
        {"nr_hugepages", {OpKind::kNrHugepages, &Reader::nr_hugepages}},
        {"fragment", {OpKind::kFragment, &Reader::fragment}},
        {"unfragment", {OpKind::kUnfragment, &Reader::unfragment}},
    };
    return table;
  }

  // Parts of the program image have ids of their own, behind all others.
  RegionId region_id(const std::string& name) {
    const auto segment = kSegments.find(name);
    if (segment == kSegments.end()) return region_ids_[name];
    return ~RegionId{0} - static_cast<RegionId>(segment->second);
  }

  void nothing(From, Task, Operation&) {}
  void migrate(From from, Task, Operation& op) {
    op.count = from.object.at("core").get<std::uint64_t>();
  }

  void mmap(From from, Task task, Operation& op) {
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

  static std::uint64_t hugetlb_bytes(From from, const char* key) {
    const std::uint64_t bytes = from.size(key);
    if (kernel::find_hugetlb_size(bytes) == nullptr) {
      from.fail(key, "arm64 with 4 KB pages has huge pages of 64K, 2M, 32M and 1G");
    }
    return bytes;
  }

  // MAP_HUGETLB, or a mapping of a file of hugetlbfs.
  static void hugetlb(From from, Operation& op) {
    op.hugetlb = hugetlb_bytes(from, "hugetlb");
    if (from.has("huge")) from.fail("hugetlb", "huge is about transparent huge pages");
    if (op.grows_down) from.fail("hugetlb", "a stack has none");
    if (op.length % op.hugetlb != 0) from.fail("size", "not a multiple of the huge pages' size");
    if (op.file_offset % op.hugetlb != 0) {
      from.fail("offset", "not a multiple of the huge pages' size");
    }
    if (op.file && !op.shmem)
      from.fail("hugetlb", "the file needs in_memory: hugetlbfs has no disk");
  }

  void nr_hugepages(From from, Task, Operation& op) {
    op.length = hugetlb_bytes(from, "size");
    op.count = from.object["count"].get<std::uint64_t>();
  }

  void munmap(From from, Task task, Operation& op) {
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
    tasks_.unmap(task, from.text("region"), op.address, op.length, from.at("region"));
  }

  void mprotect(From from, Task task, Operation& op) {
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
    op.prot = prot_of(from.text("prot"));
  }

  void madvise(From from, Task task, Operation& op) {
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
    if (from.text("advice") == "remove") {  // MADV_REMOVE is fallocate()
      op.kind = OpKind::kPunchHole;
    } else {
      op.advice = kAdvice.at(from.text("advice"));
    }
  }

  void mremap(From from, Task task, Operation& op) {
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

  void mlock(From from, Task task, Operation& op) {
    part(from, task, op);
    op.on_fault = from.object.value("on_fault", false);
  }

  void mlockall(From from, Task, Operation& op) {
    op.current = from.object.value("current", false);
    op.future = from.object.value("future", false);
    op.on_fault = from.object.value("on_fault", false);
    if (!op.current && !op.future) from.fail("op", "needs current, future or both");
  }

  void truncate(From from, Task, Operation& op) {
    op.file_id = mapped_file(from);
    op.length = from.size("size");
  }

  void close(From from, Task, Operation& op) {
    op.file_id = mapped_file(from);
    if (!in_memory_.at(from.text("file"))) {
      from.fail("file", "only a file in memory goes with its users");
    }
  }

  // A file that an mmap has named before.
  std::uint32_t mapped_file(From from) {
    const std::string name = from.text("file");
    if (!in_memory_.contains(name)) {
      std::vector<std::string> known;
      for (const auto& [file, unused] : in_memory_) known.push_back(file);
      from.fail("file", fmt::format("no mmap before this is of a file '{}'{}", name,
                                    known.empty() ? "" : suggest(name, known)));
    }
    return file_ids_[name];
  }

  // An operation on a region or a part of it.
  void part(From from, Task task, Operation& op) {
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  }

  void hugepages(From from, Task, Operation& op) {
    op.length = from.pages("size");
    if (!std::has_single_bit(op.length) || op.length < 4 * kPageSize || op.length > kPmdSize) {
      from.fail("size", "expected a power of two from 16K to 2M");
    }
    const std::string enabled = from.text("enabled");
    op.setting = enabled == "always"    ? kernel::HugePages::kAlways
                 : enabled == "madvise" ? kernel::HugePages::kMadvise
                                        : kernel::HugePages::kNever;
  }

  void brk(From from, Task task, Operation& op) {
    op.length = from.pages("size");
    op.shrink = from.object.value("shrink", false);
    if (op.shrink) {
      tasks_.shrink_heap(task, from.text("region"), op.length, from.place);
    } else {
      tasks_.grow_heap(task, from.text("region"), op.length, from.at("region"));
    }
  }

  void new_task(From from, Task task, Operation& op) {
    const std::string child = from.text("child");
    if (op.kind == OpKind::kFork) tasks_.fork(task, child, from.at("child"));
    if (op.kind == OpKind::kVfork) tasks_.vfork(task, child, from.at("child"));
    if (op.kind == OpKind::kCloneThread) tasks_.clone(task, child, from.at("child"));
  }

  void exec(From from, Task task, Operation& op) {
    op.parent_runs = from.object.value("parent_runs", false);
    tasks_.exec(task);
  }
  void exit(From, Task task, Operation&) { tasks_.exit(task); }
  void wait(From from, Task task, Operation&) {
    tasks_.wait(task, from.text("child"), from.at("child"));
  }

  void stray_store(From from, Task task, Operation& op) {
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
    constexpr std::array<std::string_view, 4> kLevels = {"pgd", "pud", "pmd", "pte"};
    const auto level = std::find(kLevels.begin(), kLevels.end(), from.text("entry", "pte"));
    op.count = static_cast<std::uint64_t>(level - kLevels.begin());
    op.refused = from.object.value("refused", false);
  }

  void touch(From from, Task task, Operation& op) {
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
    op.write = from.text("access", "read") == "write";
    op.execute = from.text("access", "read") == "execute";
    op.by_kernel = from.text("by", "user") == "kernel";
    if (from.has("stride")) op.stride = from.positive("stride");
    op.order = kOrder.at(from.text("order", "ascending"));
    op.refused = from.object.value("refused", false);
  }

  void kernel_map(From from, Task, Operation& op) {
    op.count = from.object["pages"].get<std::uint64_t>();
    op.huge = from.object.value("huge", false);
    op.write = from.object.value("write", false);
    op.up_to = from.object.value("up_to", std::uint64_t{0});
    if (op.up_to != 0) {
      if (op.up_to < op.count) from.fail("up_to", "less than pages");
      op.seed = from.object.value("seed", seed_);
    }
    tasks_.map_kernel(from.text("region"), from.text("op"), from.at("region"));
  }

  void kernel_unmap(From from, Task, Operation& op) {
    const char* const maker = op.kind == OpKind::kVfree ? "vmalloc" : "vm_map_ram";
    tasks_.unmap_kernel(from.text("region"), maker, from.at("region"));
  }

  void syscall(From from, Task task, Operation& op) {
    op.call.kind = kCalls.at(from.text("call", "null"));
    op.call.components = from.object.value("components", 0u);
    op.call.absent = from.object.value("absent", false);
    op.call.proc = from.object.value("proc", false);
    if (from.has("size")) op.call.bytes = from.size("size");
    const bool path = op.call.kind == kernel::CallKind::kLookup ||
                      op.call.kind == kernel::CallKind::kStat ||
                      op.call.kind == kernel::CallKind::kOpen;
    if (op.call.components != 0 && !path) from.fail("components", "this call names no path");
    if (op.call.absent && op.call.components == 0) from.fail("absent", "needs components");
    const bool data =
        op.call.kind == kernel::CallKind::kRead || op.call.kind == kernel::CallKind::kWrite ||
        op.call.kind == kernel::CallKind::kPipeData ||
        op.call.kind == kernel::CallKind::kSocketData || op.call.kind == kernel::CallKind::kRandom;
    if (from.has("size") && !data) from.fail("size", "this call moves no data");
    op.call.descriptors = descriptors(from, task);
    if (from.has("region")) data_place(from, task, op);
  }

  kernel::DescriptorUse descriptors(From from, Task task) {
    using Does = kernel::DescriptorUse::Kind;
    const std::string call = from.text("call", "null");
    const bool makes = call == "open" || call == "pipe" || call == "dup";
    kernel::DescriptorUse use;
    if (from.has("from") != (call == "dup")) from.fail("from", "dup has it, and no other call");
    if (!from.has("descriptor")) {
      if (call == "dup" || call == "close") from.fail("descriptor", "this call needs one");
      if (from.has("close_on_exec")) from.fail("close_on_exec", "needs a descriptor");
      return use;
    }
    if (!makes && call != "close") from.fail("descriptor", "this call has none");
    if (from.object.value("absent", false)) from.fail("descriptor", "nothing is opened");
    if (from.has("close_on_exec") && !makes) from.fail("close_on_exec", "this call makes none");
    use.close_on_exec = from.object.value("close_on_exec", false);
    use.first = use.second = from.object["descriptor"].get<int>();
    use.kind = call == "open" ? Does::kOpen : call == "close" ? Does::kClose : Does::kOpenTwo;
    if (call == "pipe") ++use.second;
    if (call == "dup") {
      use.kind = Does::kDuplicate;
      use.first = from.object["from"].get<int>();
      tasks_.check_open(task, use.first, from.at("from"));
    }
    if (call == "close") {
      tasks_.close(task, use.first, from.at("descriptor"));
    } else if (call == "dup") {
      tasks_.open(task, use.second, use.close_on_exec, from.at("descriptor"));
    } else {
      for (int n = use.first; n <= use.second; ++n) {
        tasks_.open(task, n, use.close_on_exec, from.at("descriptor"));
      }
    }
    return use;
  }

  // The data of a call that moves some lies in a region: the kernel writes what is read.
  void data_place(From from, Task task, Operation& op) {
    if (!from.has("size")) from.fail("region", "needs the size of the data");
    if (op.call.kind == kernel::CallKind::kPipeData ||
        op.call.kind == kernel::CallKind::kSocketData) {
      const std::string access = from.text("access", "");
      if (access.empty()) from.fail("region", "needs access: read, or write where it is received");
      op.write = access == "write";
    } else {
      if (from.has("access")) from.fail("access", "the call says how the kernel uses its data");
      op.write = op.call.kind != kernel::CallKind::kWrite;
    }
    range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  }

  void fragment(From from, Task, Operation& op) {
    op.count = from.object["percent"].get<std::uint64_t>();
    tasks_.fragment(from.place);
  }

  void unfragment(From from, Task, Operation&) { tasks_.unfragment(from.place); }

  const std::string path_;
  const std::unordered_map<std::string, std::uint32_t> lines_;
  const std::uint64_t seed_;
  TaskTable tasks_;
  Ids task_ids_, region_ids_, file_ids_;
  std::map<std::string, bool> in_memory_;  // of each file that was mapped
};

JsonOperations::JsonOperations(std::string path,
                               std::unordered_map<std::string, std::uint32_t> lines,
                               std::uint64_t seed)
    : reader_(std::make_unique<Reader>(std::move(path), std::move(lines), seed)) {}
JsonOperations::~JsonOperations() = default;

void JsonOperations::set_program(const kernel::ProgramImage& image, Workload& workload) {
  reader_->set_program(image, workload);
}
void JsonOperations::read(const json& object, const std::string& pointer, std::vector<Step>& out) {
  reader_->read(object, pointer, out);
}
TaskTable& JsonOperations::tasks() { return reader_->tasks(); }
void JsonOperations::set_names(Workload& workload) const { reader_->set_names(workload); }

}  // namespace kpksim::workload
