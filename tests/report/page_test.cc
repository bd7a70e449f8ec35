// kpksim report: each number of a page is the one at its place, and text of an input stays text.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "sim/report/page/html.h"
#include "tests/command_line.h"

namespace kpksim {
namespace {

using nlohmann::json;

class Report : public test::CommandLine {
 protected:
  // The data that a page embeds.
  static json page_of(const std::string& html) {
    const std::string begin = R"(<script type="application/json" id="page">)";
    const std::size_t from = html.find(begin), to = html.find("</script>", from);
    EXPECT_NE(from, std::string::npos);
    return json::parse(html.substr(from + begin.size(), to - from - begin.size()));
  }
  json report(const std::string& documents) {
    EXPECT_EQ(run("report " + documents + " -o report.html"), 0) << message_;
    return page_of(read(file("report.html")));
  }
};

// Every part of the page that has places.
void each_with_places(const json& part, const std::function<void(const json&)>& visit) {
  if (part.is_object() && part.contains("at") && part["at"].is_array()) visit(part);
  for (const json& inner : part) {
    if (inner.is_structured()) each_with_places(inner, visit);
  }
}

const json& at(const json& document, const json& pointer) {
  const json::json_pointer p(pointer.get<std::string>());
  static const json kNothing;
  const bool there = document.contains(p);
  EXPECT_TRUE(there) << pointer;
  return there ? document.at(p) : kNothing;
}

TEST_F(Report, EachNumberIsTheOneAtItsPlaceOrTheSumOfThose) {
  write("small.json", test::kSmallWorkload);
  write("sweep.json", R"({"name":"s","base":{"workload":"small.json"},"space":[
    {"grid":{"core:/tlb/l2_sets":[256,512],"policy":["none,buddy,pte","kpkeys-poe,per-page,pte"]}}]})");
  ASSERT_EQ(run("compare -q -o compare.json --uncertainty 5 small.json"), 0) << message_;
  ASSERT_EQ(run("run -q -o run.json --interval 20000 -p kpkeys-poe,per-page,pte small.json"), 0)
      << message_;
  ASSERT_EQ(run("attack -q -o attack.json dirty-pagetable -p none,buddy,pte -p mte,per-page,pte"),
            0)
      << message_;
  ASSERT_EQ(run("keys -q -o keys.json --budget 4,16 small.json"), 0) << message_;
  ASSERT_EQ(run("validate kernel -q --phase fork_64m -o validation.json --max-off 1000"), 0)
      << message_;
  EXPECT_EQ(test::violation(read(file("validation.json")),
                            read(test::source_path("docs/validation.schema.json"))),
            "");
  ASSERT_EQ(run("validate apps -q --program shell_loop -o apps.json --max-off 1000"), 0)
      << message_;
  EXPECT_EQ(
      test::violation(read(file("apps.json")), read(test::source_path("docs/apps.schema.json"))),
      "");
  EXPECT_LE(run("validate published -q --table rfc-v5 -o published.json"), 1) << message_;
  EXPECT_EQ(test::violation(read(file("published.json")),
                            read(test::source_path("docs/published.schema.json"))),
            "");
  ASSERT_EQ(run("sweep -q -o sweep.sqlite sweep.json"), 0) << message_;
  const json page = report(
      "compare.json run.json attack.json keys.json sweep.sqlite validation.json apps.json "
      "published.json");
  ASSERT_EQ(page["documents"].size(), 8u);
  ASSERT_EQ(page["chapters"].size(), 8u);
  for (const json& chapter : page["chapters"]) {
    const json& document = page["documents"][chapter["document"].get<std::size_t>()]["content"];
    std::size_t places = 0, values = 0;
    each_with_places(chapter, [&](const json& part) {
      if (part.contains("values")) {  // a series: places for each of its values
        ASSERT_EQ(part["values"].size(), part["at"].size());
        for (const json& one : part["at"]) {
          for (const json& pointer : one) at(document, pointer);
        }
        return;
      }
      std::uint64_t sum = 0;
      bool counts = !part["at"].empty();
      for (const json& pointer : part["at"]) {
        const json& there = at(document, pointer);
        ++places;
        counts &= there.is_number_unsigned();
        if (there.is_number_unsigned()) sum += there.get<std::uint64_t>();
      }
      if (part.contains("how") || !part.contains("v")) return;
      if (part["at"].size() == 1 && at(document, part["at"][0]).is_number_float()) {
        ++values;
        EXPECT_EQ(part["v"], at(document, part["at"][0])) << part;
        return;
      }
      if (!counts) return;
      ++values;
      EXPECT_EQ(part["v"], sum) << part;
    });
    EXPECT_GT(places, 5u) << chapter["title"];
    const bool of_verdicts = document.contains("scenarios") || document.contains("counts");
    if (of_verdicts) continue;  // its numbers are mostly how many there are
    EXPECT_GT(values, 5u) << chapter["title"];
  }
}

// The chart of that title in the first chapter; null if there is none.
json chart_of(const json& page, const std::string& title) {
  for (const json& block : page["chapters"][0]["blocks"]) {
    if (block["block"] == "chart" && block["title"] == title) return block;
  }
  return nullptr;
}

TEST_F(Report, WhatHappenedOverTimeIsTheSeriesOfTheDocument) {
  write("small.json", test::kSmallWorkload);
  ASSERT_EQ(run("run -q -o run.json --interval 20000 -p kpkeys-poe,pba,block small.json"), 0)
      << message_;
  const json page = report("run.json");
  const json run = json::parse(read(file("run.json")))["runs"][0];
  const json pages = chart_of(page, "Page-table pages over time")["series"];
  const json exposure = chart_of(page, "Exposure over time")["series"];
  const json rates = chart_of(page, "What happened over time")["series"];
  ASSERT_EQ(pages.size(), 2u);  // in use, and held
  ASSERT_EQ(exposure.size(), 1u);
  ASSERT_EQ(rates.size(), 6u);
  std::size_t n = 0;
  std::uint64_t begin = 0;
  for (const json& phase : run["phases"]) {
    const json& series = phase["series"];
    for (std::size_t i = 0; i < series["end_cycles"].size(); ++i, ++n) {
      EXPECT_EQ(pages[0]["values"][n], series["tables"][i]);
      EXPECT_EQ(pages[1]["values"][n], series["cached"][i]);
      EXPECT_EQ(pages[0]["x"][n], begin + series["end_cycles"][i].get<std::uint64_t>());
      double byte_kilocycles = 0;
      for (const json& owners : {series["exposure"]["at_rest"], series["exposure"]["in_windows"]}) {
        for (const json& of_one : owners) byte_kilocycles += of_one[i].get<double>();
      }
      const double cycles =
          std::max(1.0, series["cycles"][i].get<double>());  // a part may have none
      EXPECT_DOUBLE_EQ(exposure[0]["values"][n].get<double>(), byte_kilocycles * 1000 / cycles);
      EXPECT_DOUBLE_EQ(rates[0]["values"][n].get<double>(),
                       series["page_table_writes"][i].get<double>() * 1000 / cycles);
      EXPECT_DOUBLE_EQ(rates[4]["values"][n].get<double>(),
                       series["events"]["msr_por_el1"][i].get<double>() * 1000 / cycles);
    }
    begin += series["end_cycles"].back().get<std::uint64_t>();
  }
  EXPECT_EQ(exposure[0]["values"].size(), n);
  EXPECT_GT(n, 8u);
}

TEST_F(Report, ExposureOfInterleavedCoresOverTimeIsThatOfTheDocument) {
  write("small.json", test::kSmallWorkload);
  ASSERT_EQ(run("run -q -o run.json --interleave --cores 2 -p kpkeys-poe,per-page,pte small.json"),
            0)
      << message_;
  const json page = report("run.json");
  const json exposure = chart_of(page, "Exposure over time")["series"];
  EXPECT_TRUE(chart_of(page, "Page-table pages over time").is_null()) << "of --interval alone";
  ASSERT_EQ(exposure.size(), 1u);
  std::size_t n = 0;
  const json run_document = json::parse(read(file("run.json")));
  for (const json& phase : run_document["runs"][0]["phases"]) {
    for (const json& part : phase["interleaved"]["exposure"]["parts"]) {
      EXPECT_EQ(exposure[0]["values"][n++].get<double>(),
                std::accumulate(part.begin(), part.end(), 0.0, [](double sum, const json& bytes) {
                  return sum + bytes.get<double>();
                }));
    }
  }
  EXPECT_EQ(exposure[0]["values"].size(), n);
  EXPECT_GT(n, 3u);
}

TEST_F(Report, TextOfAnInputEndsNoScript) {
  const std::string name = R"(</script><!--<script>{{script}} & "x")";
  json workload = json::parse(test::kSmallWorkload);
  workload["name"] = name;
  write("small.json", workload.dump());
  ASSERT_EQ(run("compare -q -o result.json small.json"), 0) << message_;
  const json page = report("result.json");
  EXPECT_EQ(page["chapters"][0]["title"], name);
  const std::string html = read(file("report.html"));
  EXPECT_EQ(html.find("</script><!--"), std::string::npos);
  EXPECT_NE(
      html.find(
          "<title>&lt;/script&gt;&lt;!--&lt;script&gt;{{script}} &amp; &quot;x&quot;</title>"),
      std::string::npos);
}

TEST_F(Report, HasTheSameBytesEachTime) {
  write("small.json", test::kSmallWorkload);
  ASSERT_EQ(run("compare -q -o result.json small.json"), 0) << message_;
  report("result.json");
  const std::string first = read(file("report.html"));
  report("result.json");
  EXPECT_EQ(read(file("report.html")), first);
}

// The findings of the first chapter, a line each.
std::string findings_of(const json& page) {
  std::string text;
  for (const json& finding : page["chapters"][0]["findings"]) {
    for (const json& part : finding["text"]) {
      text += part.is_string() ? part.get<std::string>() : part.value("t", part.value("name", ""));
    }
    text += "\n";
  }
  return text;
}

TEST_F(Report, SaysInWordsWhatDiffersAndWhy) {
  write("small.json", test::kSmallWorkload);
  ASSERT_EQ(
      run("compare -q -o result.json -p none,buddy,pte -p kpkeys-poe,per-page,pte small.json"), 0);
  const std::string text = findings_of(report("result.json"));
  EXPECT_NE(text.find("kpkeys-poe,per-page,pte takes "), std::string::npos) << text;
  EXPECT_NE(text.find(" cycles more than none,buddy,pte: +"), std::string::npos) << text;
  EXPECT_NE(text.find(" % ISB ("), std::string::npos) << text;
  EXPECT_NE(text.find("No translation was stale: "), std::string::npos) << text;
}

TEST_F(Report, WhatTheSanitizerFoundStandsFirst) {
  write("small.json", test::kSmallWorkload);
  ASSERT_EQ(run("run -q --check --inject skip:tlbi.fork-parent -p none,buddy,pte -o result.json "
                "small.json"),
            1)
      << message_;
  const json page = report("result.json");
  const json finding = json::parse(read(file("result.json")))["runs"][0]["check"]["findings"][0];
  EXPECT_EQ(findings_of(page).find("The sanitizer found under none,buddy,pte, " +
                                   finding["rule"].get<std::string>() + ": "),
            0u)
      << findings_of(page);
  EXPECT_EQ(page["chapters"][0]["findings"][0]["weight"], "warning");
}

TEST_F(Report, WhatIsNoDocumentIsRefusedWithWhatWasExpected) {
  write("small.json", test::kSmallWorkload);
  ASSERT_EQ(run("compare -q -o result.json small.json"), 0) << message_;
  json result = json::parse(read(file("result.json")));
  const auto refused = [&](const std::string& name, const std::string& text,
                           const std::string& why) {
    write(name, text);
    EXPECT_EQ(run("report " + name + " -o report.html"), 2);
    EXPECT_NE(message_.find(name), std::string::npos) << message_;
    EXPECT_NE(message_.find(why), std::string::npos) << message_;
  };
  refused("workload.json", test::kSmallWorkload, "expected a result (run -o, compare -o)");
  refused("list.json", "[1]", "or the store of a sweep");
  json other = result;
  other["schema"] = 1;
  refused("old.json", other.dump(),
          "/schema: version 1 of a result (run -o, compare -o); this kpksim reads version 2");
  other = result;
  other["runs"][1]["phases"][0]["name"] = "another";
  refused("mixed.json", other.dump(), "/runs/1/phases: expected the phases of /runs/0");
  other = result;
  other["runs"][0].erase("total");
  refused("broken.json", other.dump(), "/runs/0");
  EXPECT_EQ(run("report result.json"), 2);
  EXPECT_NE(message_.find("--output"), std::string::npos);
  EXPECT_EQ(run("report -o report.html"), 2);
}

TEST(Page, ATemplateWithAnUnknownNameIsRefused) {
  namespace page = report::page;
  const page::Json data = page::page_data("t", {}, {});
  EXPECT_EQ(page::html(data, {"a{{style}}b", "{{title}}", "", ""}), "a{{title}}b");
  EXPECT_THROW(page::html(data, {"{{titel}}", "", "", ""}), std::runtime_error);
}

TEST_F(Report, TheChartingLibraryIsTheOneThatItsTextNames) {
  const std::string folder = test::source_path("third_party/plotly");
  EXPECT_EQ(shell("cd '" + folder +
                  "' && grep plotly-basic.min.js README.md | grep -o '[0-9a-f]\\{64\\}.*' "
                  "| sha256sum --check --quiet"),
            0)
      << message_;
}

}  // namespace
}  // namespace kpksim
