// kpksim report: documents as one HTML file that colleagues open.

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/data.h"
#include "app/documents.h"
#include "app/options.h"
#include "app/output.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/text_input.h"
#include "sim/report/page/html.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
namespace page = report::page;

constexpr const char* kReportExamples =
    "  kpksim compare -o result.json fork-1g; kpksim report result.json -o report.html\n"
    "  kpksim report result.json attack.json keys.json tlb.sqlite -o report.html\n";

struct ReportRequest {
  std::vector<std::string> files;
  std::string output, title;
};

bool parse(const std::vector<std::string>& arguments, ReportRequest& request) {
  po::options_description options(
      "kpksim report [options] RESULT... -o report.html\n"
      "One HTML file that opens offline: findings in words, charts and tables, in which each "
      "number\n"
      "leads to its place in the document. RESULT is what run, compare, keys, attack or validate "
      "kernel\n"
      "wrote with -o, or a sweep's store");
  options.add_options()("output,o", text_option("--output", request.output),
                        "the HTML file to write")("title", text_option("--title", request.title),
                                                  "of the page; default: what it is of");
  if (!read_command_line(arguments, options, kReportExamples,
                         {{"file", texts_option("RESULT", request.files), -1}}))
    return false;
  if (request.files.empty())
    throw InputError("no result given; kpksim compare -o result.json writes one");
  if (request.output.empty())
    throw InputError("--output: expected the HTML file to write, such as -o report.html");
  return true;
}

page::Parts parts() {
  const auto text = [](const char* path) { return read_text_file(data_path(path)); };
  page::Parts out{text("report/page.html"), text("report/page.css"),
                  text("third_party/plotly/plotly-basic.min.js"), ""};
  // In the order in which they need each other.
  for (const char* script : {"report/elements.js", "report/inspector.js", "report/tables.js",
                             "report/charts.js", "report/explorer.js", "report/page.js"}) {
    out.script += text(script);
  }
  return out;
}

std::vector<page::Chapter> chapters_of(const Document& document) {
  switch (document.kind) {
    case DocumentKind::kResult:
      return page::result_chapters(document.content);
    case DocumentKind::kAttack:
      return {page::attack_chapter(document.content)};
    case DocumentKind::kKeys:
      return {page::keys_chapter(document.content)};
    case DocumentKind::kValidation:
      return {page::validation_chapter(document.content)};
    case DocumentKind::kApps:
      return {page::apps_chapter(document.content)};
    case DocumentKind::kPublished:
      return {page::published_chapter(document.content)};
    case DocumentKind::kSweep:
      return {page::sweep_chapter(document.content)};
  }
  return {};
}

}  // namespace

int report(const std::vector<std::string>& arguments) {
  ReportRequest request;
  if (!parse(arguments, request)) return 0;
  refuse_input_as_output("--output", request.output, request.files);
  check_writable(request.output);
  std::vector<page::Source> sources;
  std::vector<std::pair<std::size_t, page::Chapter>> chapters;
  for (const std::string& file : request.files) {
    Document document = read_document(file);
    try {
      for (page::Chapter& chapter : chapters_of(document))
        chapters.emplace_back(sources.size(), std::move(chapter));
    } catch (const InputError& e) {
      throw InputError(file + ": " + e.what());
    }
    sources.push_back({std::filesystem::path(file).filename().string(),
                       document.kind == DocumentKind::kSweep ? "sqlite" : "json",
                       std::move(document.content)});
  }
  std::string title = request.title;
  if (title.empty()) {
    title = chapters.size() == 1
                ? chapters[0].second.title
                : fmt::format("{} and {} more", chapters[0].second.title, chapters.size() - 1);
  }
  write_file(request.output, page::html(page::page_data(title, sources, chapters), parts()));
  return 0;
}

}  // namespace kpksim::app
