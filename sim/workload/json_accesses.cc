// Accesses of programs, calls of the kernel, and stray stores.

#include <algorithm>
#include <array>
#include <string_view>

#include "sim/workload/json_reader.h"

namespace kpksim::workload {
namespace {

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

void JsonOperations::Reader::touch(From from, Task task, Operation& op) {
  range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  op.write = from.text("access", "read") == "write";
  op.execute = from.text("access", "read") == "execute";
  op.by_kernel = from.text("by", "user") == "kernel";
  if (from.has("stride")) op.stride = from.positive("stride");
  op.order = kOrder.at(from.text("order", "ascending"));
  op.refused = from.object.value("refused", false);
}

void JsonOperations::Reader::stray_store(From from, Task task, Operation& op) {
  range(from, tasks_.region(task, from.text("region"), from.at("region")), op);
  constexpr std::array<std::string_view, 4> kLevels = {"pgd", "pud", "pmd", "pte"};
  const auto level = std::find(kLevels.begin(), kLevels.end(), from.text("entry", "pte"));
  op.count = static_cast<std::uint64_t>(level - kLevels.begin());
  op.refused = from.object.value("refused", false);
}

void JsonOperations::Reader::syscall(From from, Task task, Operation& op) {
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

kernel::DescriptorUse JsonOperations::Reader::descriptors(From from, Task task) {
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

void JsonOperations::Reader::data_place(From from, Task task, Operation& op) {
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

}  // namespace kpksim::workload
