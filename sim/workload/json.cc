#include "sim/workload/json.h"

#include <fmt/core.h>

#include <map>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/base/types.h"
#include "sim/workload/json_operations.h"
#include "sim/workload/json_source.h"
#include "sim/workload/schema.h"

namespace kpksim::workload {
namespace {

using nlohmann::json;

// A repeated body is looked at twice, hence 2^depth times in all.
constexpr int kMaxRepeatDepth = 8;
constexpr std::uint64_t kMaxNumbered = 4096;

class Reader {
 public:
  explicit Reader(const JsonFile& file)
      : path_(file.path()),
        root_(file.root()),
        seed_(root_.value("seed", std::uint64_t{1})),
        operations_(path_, file.lines_of_objects(), seed_) {}

  Workload read() {
    const json& root = root_;
    refuse_equal_names(root["phases"]);
    Workload workload;
    workload.name = root["name"].get<std::string>();
    workload.description = root.value("description", "");
    workload.source = path_;
    workload.program = program(root);
    workload.kernel_data = kernel_data(root);
    workload.interleave = root.value("interleave", false);
    operations_.set_program(workload.program, workload);
    for (std::size_t i = 0; i < root["phases"].size(); ++i) {
      const json& phase = root["phases"][i];
      workload.phases.push_back({phase["name"].get<std::string>(),
                                 steps(phase["ops"], fmt::format("/phases/{}/ops", i), 0),
                                 phase.value("also", std::vector<std::string>{})});
    }
    operations_.set_names(workload);
    return workload;
  }

 private:
  std::optional<kernel::KernelDataSettings> kernel_data(const json& root) const {
    if (!root.contains("kernel_data")) return {};
    const JsonSource from{root["kernel_data"], fmt::format("{}: /kernel_data", path_)};
    kernel::KernelDataSettings settings;
    if (from.has("working_set")) settings.working_set = from.pages("working_set");
    settings.accesses_per_call = from.object.value("accesses_per_call", settings.accesses_per_call);
    if (from.has("page_cache")) settings.page_cache = from.page_offset("page_cache");
    settings.store_percent = from.object.value("store_percent", settings.store_percent);
    settings.seed = seed_;
    return settings;
  }

  kernel::ProgramImage program(const json& root) const {
    kernel::ProgramImage image;
    if (!root.contains("program")) return image;
    const JsonSource from{root["program"], fmt::format("{}: /program", path_)};
    const auto size = [&](const char* key, std::uint64_t& bytes) {
      if (from.has(key)) bytes = from.pages(key);
    };
    // A program may do without these.
    const auto optional = [&](const char* key, std::uint64_t& bytes) {
      if (from.has(key)) bytes = from.page_offset(key);
    };
    optional("header", image.header_bytes);
    size("text", image.text_bytes);
    optional("rodata", image.rodata_bytes);
    size("heap", image.heap_bytes);
    optional("data_offset", image.data_offset);
    if (from.has("data")) image.data_bytes = from.positive("data");
    size("bss", image.bss_bytes);
    size("stack", image.stack_bytes);
    image.exec_stack_pages = from.object.value("exec_stack_pages", image.exec_stack_pages);
    image.randomize = from.object.value("randomize", false);
    if (image.heap_base() > kPudSize) from.fail("text", "the program image is larger than 1G");
    if (image.exec_stack_pages * kPageSize > image.stack_bytes) {
      from.fail("exec_stack_pages", "more than the stack has");
    }
    return image;
  }

  // Options, rows and columns name a phase by its name.
  void refuse_equal_names(const json& phases) const {
    std::map<std::string, std::string> places;
    const auto add = [&](const json& name, const std::string& pointer) {
      const auto [first, is_new] = places.emplace(name.get<std::string>(), pointer);
      if (is_new) return;
      throw InputError(fmt::format("{}: {}: '{}' is the name at {} already; expected another",
                                   path_, pointer, first->first, first->second));
    };
    for (std::size_t i = 0; i < phases.size(); ++i) {
      add(phases[i]["name"], fmt::format("/phases/{}/name", i));
      const json also = phases[i].value("also", json::array());
      for (std::size_t k = 0; k < also.size(); ++k) {
        add(also[k], fmt::format("/phases/{}/also/{}", i, k));
      }
    }
  }

  std::vector<Step> steps(const json& list, const std::string& pointer, int depth) {
    std::vector<Step> result;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string at = fmt::format("{}/{}", pointer, i);
      if (list[i].contains("repeat")) {
        result.push_back(repeat(list[i], at, depth + 1));
      } else {
        operations_.read(list[i], at, result);
      }
    }
    return result;
  }

  Step repeat(const json& step, const std::string& pointer, int depth) {
    if (depth > kMaxRepeatDepth) {
      throw InputError(fmt::format("{}: {}: more than {} repeats within each other", path_, pointer,
                                   kMaxRepeatDepth));
    }
    if (step.contains("as")) return numbered(step, pointer, depth);
    Step result;
    result.repeat = step["repeat"].get<std::uint64_t>();
    result.body = steps(step["ops"], pointer + "/ops", depth);
    // What holds in the second round, beginning where the first ended, holds in all further ones.
    if (result.repeat > 1) {
      const auto heaps = operations_.tasks().heap_sizes();
      const std::vector<Step> again = steps(step["ops"], pointer + "/ops", depth);
      operations_.tasks().repeat_growth(heaps, result.repeat - 2,
                                        fmt::format("{}: {}", path_, pointer));
      check_same_lengths(result.body, again, pointer);
    }
    return result;
  }

  // Rounds of their own, as names differ.
  Step numbered(const json& step, const std::string& pointer, int depth) {
    const auto rounds = step["repeat"].get<std::uint64_t>();
    if (rounds > kMaxNumbered) {
      throw InputError(
          fmt::format("{}: {}: more than {} rounds with \"as\": each is kept by itself", path_,
                      pointer, kMaxNumbered));
    }
    const std::string name = "{" + step["as"].get<std::string>() + "}";
    Step result;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      json ops = step["ops"];
      replace(ops, name, std::to_string(i));
      for (Step& one : steps(ops, pointer + "/ops", depth)) result.body.push_back(std::move(one));
    }
    return result;
  }
  static void replace(json& value, const std::string& name, const std::string& number) {
    if (value.is_structured()) {
      for (json& part : value) replace(part, name, number);
    } else if (value.is_string()) {
      auto& text = value.get_ref<std::string&>();
      for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
        text.replace(at, name.size(), number);
      }
    }
  }

  // A region that grows (brk, mremap) would make "the whole region" another one in every round.
  void check_same_lengths(const std::vector<Step>& first, const std::vector<Step>& second,
                          const std::string& pointer) const {
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (first[i].op.length != second[i].op.length) {
        throw InputError(
            fmt::format("{}: {}: the region of line {} has another size in the second round of the "
                        "repeat; give offset and size",
                        path_, pointer, first[i].op.line));
      }
    }
  }

  const std::string path_;
  const json& root_;
  const std::uint64_t seed_;
  JsonOperations operations_;
};

}  // namespace

Workload read_valid_workload(const JsonFile& file) {
  try {
    return Reader(file).read();
  } catch (const InputError& e) {
    throw InputError(file.located(e.what()));
  }
}

Workload read_json_workload(const std::string& path, const std::string& schema_text) {
  return read_valid_workload(read_json_document(path, schema_text));
}

Workload read_json_workload(const std::string& path) {
  return read_json_workload(path, kWorkloadSchema);
}

Workload read_json_workload(const JsonFile& file) {
  check_schema(file, kWorkloadSchema);
  return read_valid_workload(file);
}

}  // namespace kpksim::workload
