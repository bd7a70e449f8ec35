#pragma once

namespace kpksim::report {

// JSON Schema (draft 7) of a result document, the same text as docs/result.schema.json.
extern const char* const kResultSchema;

}  // namespace kpksim::report
