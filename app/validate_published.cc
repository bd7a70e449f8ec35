// kpksim validate published: the overheads that were published, against the model's.

#include <fmt/core.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/command_line.h"
#include "app/data.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/validate.h"
#include "app/words.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/parallel.h"
#include "sim/base/printable.h"
#include "sim/report/result.h"
#include "sim/validate/fit.h"
#include "sim/workload/json.h"
#include "sim/workload/strace.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using validate::PublishedTable;
using validate::Scheme;

// Of a compilation under Linux 6.12, unprotected (tests/published/README.md).
constexpr validate::Instructions kCompilation{200'068'525, 2'770'074'204};

struct PublishedRequest {
  std::string file, table, core, kernel, output;
  bool refit = false, leave_one_out = false, quiet = false;
  unsigned jobs = 1;
};

bool parse(const std::vector<std::string>& arguments, PublishedRequest& request) {
  po::options_description options(
      "kpksim validate published [options]\n"
      "Runs the benchmarks of the published tables and prints model and measurement cell by cell.\n"
      "Exit status 1 if the agreement is less than docs/validation.md asks for");
  options.add_options()("table", text_option("--table", request.table),
                        "this table alone (its id)")(
      "refit", po::bool_switch(&request.refit),
      "fit the free prices again and use them instead of the profile's")(
      "leave-one-out", po::bool_switch(&request.leave_one_out),
      "and fit without each fitted figure in turn")(
      "results", text_option("--results", request.file), "the published results (JSON)")(
      "core", text_option("--core", request.core, core_words)->default_value("neoverse-v1"),
      "core profile")(
      "kernel", text_option("--kernel", request.kernel, kernel_words)->default_value("linux-6.17"),
      "kernel profile")("jobs,j", jobs_option(request.jobs), "threads")(
      "quiet,q", po::bool_switch(&request.quiet), "no progress bar")(
      "output,o", text_option("--output", request.output),
      "write each cell to this file (JSON, docs/published.schema.json), for kpksim report and "
      "plot");
  constexpr const char* kExamples =
      "  kpksim validate published\n"
      "  kpksim validate published --table rfc-v5 --core neoverse-v2\n";
  if (!read_command_line(arguments, options, kExamples)) return false;
  if (request.file.empty()) request.file = data_path("tests/published/published_results.json");
  return true;
}

validate::PublishedModel simulate(const validate::Published& published,
                                  const cpu::CoreProfile& core, const kernel::KernelProfile& kernel,
                                  const PublishedRequest& request) {
  std::set<std::string> names;
  for (const PublishedTable& table : published.tables) {
    for (const validate::Cell& cell : table.cells) names.insert(cell.run);
  }
  for (const validate::AbsoluteTime& time : published.absolute) names.insert(time.run);
  std::map<std::string, workload::Workload> workloads;
  for (const std::string& name : names) {
    workloads[name] =
        name == validate::kKernbench
            ? validate::with_instructions(
                  workload::read_strace(data_path("tests/published/compile.strace.gz")),
                  kCompilation, core, kernel)
            : workload::read_json_workload(data_path("workloads/published/" + name + ".json"));
  }
  struct Job {
    const std::string* run;
    Scheme scheme;
    validate::RunCounts counts;
  };
  std::vector<Job> work;
  for (const std::string& name : names) {
    work.push_back({&name, {}, {}});
    for (const bool keyed : {false, true}) {
      for (const bool batched : {false, true}) {
        work.push_back({&name, {true, keyed, batched}, {}});
      }
    }
  }
  Progress progress("validate published", work.size(), "runs", request.quiet);
  parallel_for(work.size(), request.jobs, [&](std::size_t i) {
    Job& job = work[i];
    job.counts = validate::simulate(workloads.at(*job.run), core, kernel, job.scheme);
    progress.add(1);
  });
  validate::PublishedModel model;
  for (const Job& job : work) model.add(*job.run, job.scheme, job.counts);
  return model;
}

// How the cells that were not fitted agree (docs/validation.md, Agreement).
struct Agreement {
  unsigned significant = 0, near = 0, far = 0, other = 0, other_near = 0;
  unsigned pairs = 0, wrong_order = 0, contradictions = 0;
  unsigned keyings = 0, keyings_near = 0;  // of benchmarks that allocate or free page tables

  bool enough() const {
    return near * 10 >= significant * 9 && far == 0 && other == other_near && wrong_order == 0 &&
           keyings == keyings_near;
  }
};

bool near(const validate::Cell& cell, double model) {
  const double error = std::abs(model - cell.overhead);
  if (cell.significant) return error <= validate::tolerance(cell.overhead);
  return error <= 4 || std::abs(model) <= 4;
}

class Comparison {
 public:
  Comparison(const validate::Published& published, const validate::PublishedModel& model,
             const cpu::CoreProfile& core, std::string kernel)
      : published_(published),
        model_(model),
        core_(core),
        kernel_(std::move(kernel)),
        fitted_(validate::anchors(published)) {}

  double of(const PublishedTable& table, const validate::Cell& cell) const {
    return model_.overhead(cell, table.keyed, core_.millicycles);
  }

  // Agreement is counted as tables are printed: after that.
  nlohmann::ordered_json document() const {
    const Agreement& a = agreement_;
    nlohmann::ordered_json absolute = nlohmann::ordered_json::array();
    for (const validate::AbsoluteTime& time : published_.absolute) {
      absolute.push_back({{"benchmark", time.label},
                          {"published_usec", time.usec},
                          {"model_usec", model_.usec(time, core_.millicycles, core_.clock_ghz)},
                          {"fitted", is_fitted(time)}});
    }
    return {{"schema", 1},
            {"version", report::version()},
            {"validated", "published"},
            {"core", core_.name},
            {"kernel", kernel_},
            {"tables", tables_},
            {"absolute", std::move(absolute)},
            {"agreement",
             {{"significant", a.significant},
              {"near", a.near},
              {"far", a.far},
              {"other", a.other},
              {"other_near", a.other_near},
              {"pairs", a.pairs},
              {"wrong_order", a.wrong_order},
              {"contradictions", a.contradictions},
              {"keyings", a.keyings},
              {"keyings_near", a.keyings_near}}}};
  }

  void print(const PublishedTable& table) {
    tables_.push_back(document_of(table));
    std::cout << fmt::format(
        "{}: overhead in percent{}\n{:<20}{:^32}{:^32}\n{:<20}{:>10}{:>9}{:>9}    "
        "{:>10}{:>9}{:>9}\n",
        printable(table.id), table.keyed ? ", page-table pages keyed" : "", "", "without batching",
        "with batching", "", "published", "model", "error", "published", "model", "error");
    for (std::size_t i = 0; i < table.cells.size(); i += 2) {
      std::string line = fmt::format("{:<20}", table.cells[i].label);
      for (std::size_t b : {i, i + 1}) line += one(table, table.cells[b]);
      std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
    }
    count_order(table);
    std::cout << "\n";
  }

  // What keying page-table pages costs: the difference of two tables that differ in nothing else.
  void print_keying(const PublishedTable& without, const PublishedTable& with) {
    std::cout << fmt::format("keying ({} - {}), points\n{:<20}{:>10}{:>9}    {:>10}{:>9}\n",
                             with.id, without.id, "", "published", "model", "batched", "model");
    for (std::size_t i = 0; i < with.cells.size(); i += 2) {
      std::string line = fmt::format("{:<20}", with.cells[i].label);
      for (std::size_t b : {i, i + 1}) {
        const validate::Cell* const other = find(without, with.cells[b]);
        if (other == nullptr) continue;
        const double published = with.cells[b].overhead - other->overhead;
        const double model = of(with, with.cells[b]) - of(without, *other);
        line += fmt::format("{:>10.2f}{:>9.2f}    ", published, model);
        if (!with.cells[b].about_page_tables) continue;
        ++agreement_.keyings;
        agreement_.keyings_near += std::abs(model - published) <= 2 ? 1 : 0;
      }
      std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
    }
    std::cout << "\n";
  }

  void print_absolute() const {
    if (published_.absolute.empty()) return;
    std::cout << fmt::format("microseconds, unprotected\n{:<20}{:>12}{:>12}{:>9}\n", "",
                             "published", "model", "error");
    for (const validate::AbsoluteTime& time : published_.absolute) {
      const double usec = model_.usec(time, core_.millicycles, core_.clock_ghz);
      std::cout << fmt::format("{:<20}{:>12.0f}{:>12.0f}{:>+8.1f}%{}\n", time.label, time.usec,
                               usec, (usec / time.usec - 1) * 100, is_fitted(time) ? " *" : "");
    }
    std::cout << "\n";
  }

  void print_agreement() const {
    const Agreement& a = agreement_;
    std::cout << fmt::format(
        "*: fitted, ( ): not significant, ! further off than a fifth or 3 points, !! than 40 % or "
        "6\n"
        "not fitted: {} of {} significant cells near, {} far; {} of {} others near\n"
        "order within columns: {} of {} pairs that are clearly apart are the other way round\n"
        "{} further pairs are apart in one table and the other way round in another of the same "
        "configuration\n"
        "price of keying for fork and munmap: {} of {} within 2 points\n",
        a.near, a.significant, a.far, a.other_near, a.other, a.wrong_order, a.pairs,
        a.contradictions, a.keyings_near, a.keyings);
  }

  const Agreement& agreement() const { return agreement_; }

 private:
  static const validate::Cell* find(const PublishedTable& table, const validate::Cell& like) {
    for (const validate::Cell& cell : table.cells) {
      if (cell.run == like.run && cell.measure == like.measure && cell.batched == like.batched) {
        return &cell;
      }
    }
    return nullptr;
  }
  bool is_far(const validate::Cell& cell, double model) const {
    return std::abs(model - cell.overhead) > std::max(std::abs(cell.overhead) * 0.4, 6.0);
  }
  nlohmann::ordered_json document_of(const PublishedTable& table) const {
    nlohmann::ordered_json cells = nlohmann::ordered_json::array();
    for (const validate::Cell& cell : table.cells) {
      const double model = of(table, cell);
      cells.push_back({{"benchmark", cell.label},
                       {"batched", cell.batched},
                       {"significant", cell.significant},
                       {"published", cell.overhead},
                       {"model", model},
                       {"verdict", is_fitted(cell)       ? "fitted"
                                   : near(cell, model)   ? "near"
                                   : is_far(cell, model) ? "far"
                                                         : "off"}});
    }
    return {{"id", table.id}, {"keyed", table.keyed}, {"cells", std::move(cells)}};
  }
  bool is_fitted(const validate::Cell& cell) const {
    return std::any_of(fitted_.begin(), fitted_.end(),
                       [&](const validate::Anchor& a) { return a.cell == &cell; });
  }
  bool is_fitted(const validate::AbsoluteTime& time) const {
    return std::any_of(fitted_.begin(), fitted_.end(),
                       [&](const validate::Anchor& a) { return a.time == &time; });
  }

  std::string one(const PublishedTable& table, const validate::Cell& cell) {
    const double model = of(table, cell);
    const double error = model - cell.overhead;
    const bool far = is_far(cell, model);
    std::string mark;
    if (is_fitted(cell)) {
      mark = "*";
    } else {
      mark = near(cell, model) ? "" : far ? "!!" : "!";
      if (cell.significant) {
        ++agreement_.significant;
        agreement_.near += near(cell, model) ? 1 : 0;
        agreement_.far += far ? 1 : 0;
      } else {
        ++agreement_.other;
        agreement_.other_near += near(cell, model) ? 1 : 0;
      }
    }
    const std::string value = cell.significant ? fmt::format("{:.2f}", cell.overhead)
                                               : fmt::format("({:.2f})", cell.overhead);
    return fmt::format("{:>10}{:>9.2f}{:>+9.2f} {:<3}", value, model, error, mark);
  }

  // Whether all tables of the configuration of `table` show less overhead for `a` than for `b`. The
  // measurements of one configuration may contradict each other.
  bool less_in_all(const PublishedTable& table, const validate::Cell& a,
                   const validate::Cell& b) const {
    return std::all_of(
        published_.tables.begin(), published_.tables.end(), [&](const PublishedTable& other) {
          if (other.keyed != table.keyed) return true;
          const validate::Cell *a_there = find(other, a), *b_there = find(other, b);
          return a_there == nullptr || b_there == nullptr || a_there->overhead < b_there->overhead;
        });
  }

  // Pairs of a column whose published values are further apart than either's tolerance.
  void count_order(const PublishedTable& table) {
    for (const validate::Cell& a : table.cells) {
      for (const validate::Cell& b : table.cells) {
        if (a.batched != b.batched) continue;
        const double room =
            std::max(validate::tolerance(a.overhead), validate::tolerance(b.overhead));
        if (a.overhead + room >= b.overhead) continue;
        if (!less_in_all(table, a, b)) {
          ++agreement_.contradictions;
          continue;
        }
        ++agreement_.pairs;
        agreement_.wrong_order += of(table, a) >= of(table, b) ? 1 : 0;
      }
    }
  }

  const validate::Published& published_;
  const validate::PublishedModel& model_;
  const cpu::CoreProfile& core_;
  const std::string kernel_;
  nlohmann::ordered_json tables_ = nlohmann::ordered_json::array();
  const std::vector<validate::Anchor> fitted_;
  Agreement agreement_;
};

void print_fit(const validate::Published& published, const validate::PublishedModel& model,
               cpu::CoreProfile& core, bool leave_one_out) {
  const auto all = validate::anchors(published);
  const validate::Fit whole = validate::fit(model, all, core);
  std::vector<std::pair<std::string, validate::Fit>> fits = {{"all", whole}};
  if (leave_one_out) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto rest = all;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      fits.emplace_back("without " + all[i].name(), validate::fit(model, rest, core));
    }
  }
  std::cout << fmt::format("{:<44}", "fitted prices, cycles");
  for (const validate::FreePrice& price : validate::free_prices()) {
    std::cout << fmt::format("{:>18}", price.name);
  }
  std::cout << fmt::format("{:>10}\n{:<44}", "misfit", "in the profile");
  for (const validate::FreePrice& price : validate::free_prices()) {
    for (const cpu::Price& p : cpu::prices()) {
      if (p.name != price.name) continue;
      std::cout << fmt::format(
          "{:>18.3f}",
          static_cast<double>(core.millicycles[static_cast<std::size_t>(p.events[0])]) / 1000);
    }
  }
  std::cout << "\n";
  for (const auto& [name, fit] : fits) {
    std::cout << fmt::format("{:<44}", name);
    for (const std::uint64_t value : fit.values) {
      std::cout << fmt::format("{:>18.3f}", static_cast<double>(value) / 1000);
    }
    std::cout << fmt::format("{:>10.3f}\n", fit.misfit);
  }
  std::cout << "\n";
  validate::apply(whole, core);
}

}  // namespace

int validate_published(const std::vector<std::string>& arguments) {
  PublishedRequest request;
  if (!parse(arguments, request)) return 0;
  if (!request.output.empty()) check_writable(request.output);
  const validate::Published published = validate::read_published(request.file);
  if (!request.table.empty()) {
    std::vector<std::string> ids;
    for (const PublishedTable& table : published.tables) ids.push_back(table.id);
    if (std::find(ids.begin(), ids.end(), request.table) == ids.end()) {
      throw InputError(fmt::format("--table: '{}' is not a table of {}{}", request.table,
                                   request.file, suggest(request.table, ids)));
    }
  }
  cpu::CoreProfile core = read_core(request.core);
  const validate::PublishedModel model =
      simulate(published, core, read_kernel(request.kernel), request);
  if (request.refit || request.leave_one_out) {
    print_fit(published, model, core, request.leave_one_out);
  }
  Comparison comparison(published, model, core, request.kernel);
  const PublishedTable* without = nullptr;
  const PublishedTable* with = nullptr;
  for (const PublishedTable& table : published.tables) {
    if (table.id == "rfc-v5") without = &table;
    if (table.id == "rfc-v5-amended") with = &table;
    if (request.table.empty() || table.id == request.table) comparison.print(table);
  }
  if (without != nullptr && with != nullptr) comparison.print_keying(*without, *with);
  comparison.print_absolute();
  comparison.print_agreement();
  if (!request.output.empty())
    write_file(request.output, report::document_text(comparison.document()));
  return comparison.agreement().enough() ? 0 : 1;
}

}  // namespace kpksim::app
