#pragma once
// JSON Schemas (draft 7) of the documents that kpksim writes, the same texts as in docs/.

namespace kpksim::report {

extern const char* const kResultSchema;        // docs/result.schema.json: run, compare
extern const char* const kAttackResultSchema;  // docs/attack.schema.json
extern const char* const kKeysSchema;          // docs/keys.schema.json
extern const char* const kValidationSchema;    // docs/validation.schema.json
extern const char* const kAppsSchema;          // docs/apps.schema.json: validate apps
extern const char* const kPublishedSchema;     // docs/published.schema.json

}  // namespace kpksim::report
