#pragma once
// A page (sim/report/page/page.h) as one HTML file that opens offline: a template, a style sheet,
// scripts and the charting library are put together, and the page's data is embedded as JSON.

#include <string>

#include "sim/report/page/page.h"

namespace kpksim::report::page {

// A document that a page is made of, which is embedded whole.
struct Source {
  std::string name;    // of its file, without folders
  std::string format;  // "json", or "sqlite" of a sweep's store
  Json content;
};

// The texts that pages are made of.
struct Parts {
  std::string frame, style, library, script;
};

// `chapters`: each with the number of its source.
Json page_data(const std::string& title, const std::vector<Source>& sources,
               const std::vector<std::pair<std::size_t, Chapter>>& chapters);

// The frame has {{title}}, {{version}}, {{style}}, {{library}}, {{script}} and {{page}}. What is
// put in is not looked at again: a workload may be called {{script}}. InputError: a name that is
// none.
std::string html(const Json& page, const Parts& parts);

// JSON that may stand within <script>: whatever strings hold, it has no '<', '>' or '&', so that
// neither "</script>" nor "<!--" can end or change the element.
std::string script_json(const Json& value);

}  // namespace kpksim::report::page
