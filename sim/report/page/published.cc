// The chapter of kpksim validate published: overheads that were published, and the model's.

#include <fmt/core.h>

#include "sim/report/page/page.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {
namespace {

constexpr std::pair<const char*, const char*> kVerdicts[] = {
    {"fitted", "fitted to it"}, {"near", "near"}, {"off", "off"}, {"far", "far off"}};

std::string meaning(const Json& cell) {
  for (const auto& [verdict, words] : kVerdicts) {
    if (cell["verdict"] == verdict) return words;
  }
  return "";
}

std::string column_of(const Json& cell) {
  return cell["benchmark"].get<std::string>() + (cell["batched"].get<bool>() ? ", batched" : "");
}

std::string heading(const Json& table) {
  return table["id"].get<std::string>() +
         (table["keyed"].get<bool>() ? ", page-table pages keyed" : "");
}

Json chart_of(const Json& table, const std::string& at) {
  Chart chart;
  chart.form = "dots";
  chart.title = "Overheads of " + heading(table);
  chart.category_title = "benchmark";
  chart.value_title = "overhead, percent";
  chart.log_offered = false;
  Series published{"published"}, model{"model"};
  for (std::size_t c = 0; c < table["cells"].size(); ++c) {
    const Json& cell = table["cells"][c];
    const std::string place = fmt::format("{}/cells/{}", at, c);
    chart.categories.push_back(column_of(cell));
    published.values.push_back(cell["published"].get<double>());
    published.at.push_back({place + "/published"});
    model.values.push_back(cell["model"].get<double>());
    model.at.push_back({place + "/model"});
  }
  chart.series = {std::move(published), std::move(model)};
  return chart.json();
}

Json cells_table(const Json& tables) {
  Table out;
  out.title = "Every cell";
  out.first = "benchmark";
  out.columns = {"published", "model", "error, points", "significant", "agreement"};
  out.note =
      "Overheads in percent. Fitted: a price was fitted to this very cell. The others were "
      "predicted.";
  for (std::size_t t = 0; t < tables.size(); ++t) {
    for (std::size_t c = 0; c < tables[t]["cells"].size(); ++c) {
      const Json& cell = tables[t]["cells"][c];
      const std::string at = fmt::format("/tables/{}/cells/{}", t, c);
      const double published = cell["published"].get<double>(), model = cell["model"].get<double>();
      Row row{column_of(cell), heading(tables[t])};
      row.cells = {
          figure(cell["published"], {at + "/published"}, "", fmt::format("{:.2f}", published)),
          figure(cell["model"], {at + "/model"}, "", fmt::format("{:.2f}", model)),
          figure(model - published, {at + "/model", at + "/published"},
                 "the model less what was published", fmt::format("{:+.2f}", model - published)),
          cell["significant"].get<bool>() ? "yes" : "no", meaning(cell)};
      out.rows.push_back(std::move(row));
    }
  }
  return out.json();
}

Json absolute_table(const Json& times) {
  Table out;
  out.title = "Microseconds, unprotected";
  out.first = "benchmark";
  out.columns = {"published", "model", "model over published", "agreement"};
  for (std::size_t i = 0; i < times.size(); ++i) {
    const Json& time = times[i];
    const std::string at = fmt::format("/absolute/{}", i);
    const double published = time["published_usec"].get<double>(),
                 model = time["model_usec"].get<double>();
    Row row{time["benchmark"].get<std::string>()};
    row.cells = {
        figure(time["published_usec"], {at + "/published_usec"}, "",
               fmt::format("{:.0f}", published)),
        figure(time["model_usec"], {at + "/model_usec"}, "", fmt::format("{:.0f}", model)),
        percent((model / published - 1) * 100, {at + "/model_usec", at + "/published_usec"},
                "the model over what was published"),
        time["fitted"].get<bool>() ? "fitted to it" : "predicted"};
    out.rows.push_back(std::move(row));
  }
  return out.json();
}

// A sentence of counts of the agreement; `parts`: a name or words.
Json finding(const Json& agreement, std::initializer_list<std::pair<bool, const char*>> parts,
             bool good) {
  Sentence s;
  for (const auto& [is_count, text] : parts) {
    if (is_count) {
      s.number(agreement[text].get<std::uint64_t>(), {std::string("/agreement/") + text});
    } else {
      s.say(text);
    }
  }
  return s.json(good ? "plain" : "warning");
}

}  // namespace

Chapter published_chapter(const Json& document) {
  const Json& a = document["agreement"];
  const auto count = [&](const char* name) { return a[name].get<std::uint64_t>(); };
  Chapter chapter;
  chapter.title = "The model against published overheads";
  chapter.facts = {{"core", document["core"].get<std::string>()},
                   {"kernel", document["kernel"].get<std::string>()},
                   {"made by", "kpksim " + document["version"].get<std::string>()}};
  chapter.findings = {
      finding(a,
              {{false, "Of "},
               {true, "significant"},
               {false, " significant cells to which nothing was fitted "},
               {true, "near"},
               {false, " are near what was published and "},
               {true, "far"},
               {false, " are far off. Of "},
               {true, "other"},
               {false, " other cells "},
               {true, "other_near"},
               {false, " are near."}},
              count("far") == 0 && count("other") == count("other_near")),
      finding(a,
              {{false, "Of "},
               {true, "pairs"},
               {false, " pairs of a column that are clearly apart "},
               {true, "wrong_order"},
               {false, " come out in the other order. "},
               {true, "contradictions"},
               {false, " further pairs are ordered differently by two of the tables themselves."}},
              count("wrong_order") == 0),
      finding(a,
              {{false, "The price of keying page tables is within 2 points for "},
               {true, "keyings_near"},
               {false, " of "},
               {true, "keyings"},
               {false, " measurements of fork and munmap."}},
              count("keyings") == count("keyings_near"))};
  const Json& tables = document["tables"];
  for (std::size_t t = 0; t < tables.size(); ++t)
    chapter.blocks.push_back(chart_of(tables[t], fmt::format("/tables/{}", t)));
  chapter.blocks.push_back(cells_table(tables));
  if (!document["absolute"].empty()) chapter.blocks.push_back(absolute_table(document["absolute"]));
  return chapter;
}

}  // namespace kpksim::report::page
