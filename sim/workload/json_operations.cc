#include "sim/workload/json_operations.h"

#include <fmt/core.h>

#include "sim/base/error.h"
#include "sim/workload/extent.h"
#include "sim/workload/json_reader.h"

namespace kpksim::workload {
namespace {

const std::map<std::string, Segment> kSegments = {
    {"@text", Segment::kText},     {"@rodata", Segment::kRodata}, {"@data", Segment::kData},
    {"@bss", Segment::kBss},       {"@heap", Segment::kHeap},     {"@stack", Segment::kStack},
    {"@growth", Segment::kGrowth}, {"@vdso", Segment::kVdso}};

}  // namespace

void JsonOperations::Reader::set_program(const kernel::ProgramImage& image, Workload& workload) {
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

void JsonOperations::Reader::read(const json& object, const std::string& pointer,
                                  std::vector<Step>& out) {
  const JsonSource from{object, fmt::format("{}: {}", path_, pointer)};
  if (!object.contains("every")) {
    if (from.has("end")) from.fail("end", "is where every stops; there is none");
    return operation(object, pointer, out);
  }
  const std::uint64_t step = from.pages("every");
  if (!from.has("size")) from.fail("every", "needs the size of each");
  tasks_.check_runs(from.text("task"), from.at("task"));
  std::uint64_t end = tasks_.region(from.text("task"), from.text("region"), from.at("region")).size;
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

void JsonOperations::Reader::range(const JsonSource& from, const Region& region,
                                   Operation& op) const {
  const bool bytes =
      op.kind == OpKind::kTouch || op.kind == OpKind::kSyscall || op.kind == OpKind::kStrayStore;
  op.address = bytes ? (from.has("offset") ? from.size("offset") : 0) : from.page_offset("offset");
  if (op.address >= region.size) {
    from.fail("offset", fmt::format("{} is beyond the region's {} bytes", op.address, region.size));
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

void JsonOperations::Reader::operation(const json& object, const std::string& pointer,
                                       std::vector<Step>& out) {
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

const std::map<std::string, JsonOperations::Reader::Kind>& JsonOperations::Reader::kinds() {
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

RegionId JsonOperations::Reader::region_id(const std::string& name) {
  const auto segment = kSegments.find(name);
  if (segment == kSegments.end()) return region_ids_[name];
  return ~RegionId{0} - static_cast<RegionId>(segment->second);
}

JsonOperations::JsonOperations(std::string path,
                               std::unordered_map<std::string, std::uint32_t> lines,
                               std::uint64_t seed)
    : reader_(std::make_unique<Reader>(std::move(path), std::move(lines), seed)) {}
JsonOperations::~JsonOperations() = default;

void JsonOperations::set_program(const kernel::ProgramImage& image, Workload& workload) {
  reader_->set_program(image, workload);
}
void JsonOperations::read(const nlohmann::json& object, const std::string& pointer,
                          std::vector<Step>& out) {
  reader_->read(object, pointer, out);
}
TaskTable& JsonOperations::tasks() { return reader_->tasks(); }
void JsonOperations::set_names(Workload& workload) const { reader_->set_names(workload); }

}  // namespace kpksim::workload
