#include "sim/workload/schema.h"

namespace kpksim::workload {

// The text of workloads/schema.json; tests/workload/json_test.cc holds the two equal.
const char* const kWorkloadSchema = R"json({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "kpksim workload",
  "description": "Phases of operations on tasks and their memory; workloads/README.md explains it.",
  "type": "object",
  "required": ["name", "phases"],
  "additionalProperties": false,
  "properties": {
    "$schema": {"type": "string"},
    "name": {"$ref": "#/definitions/name"},
    "description": {"type": "string"},
    "seed": {"$ref": "#/definitions/seed"},
    "phases": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/phase"}}
  },
  "definitions": {
    "name": {"type": "string", "minLength": 1},
    "seed": {"type": "integer", "minimum": 0},
    "size": {
      "description": "bytes: a number, or a string of a number and optionally K, M, G or T",
      "type": ["string", "integer"]
    },
    "address": {"description": "hexadecimal, e.g. 0x7f0000000000", "type": "string"},
    "pages": {"type": "integer", "minimum": 1, "maximum": 268435456},
    "prot": {"enum": ["none", "r", "w", "rw", "x", "rx", "wx", "rwx"]},
    "phase": {
      "type": "object",
      "required": ["name", "ops"],
      "additionalProperties": false,
      "properties": {
        "name": {"$ref": "#/definitions/name"},
        "ops": {"$ref": "#/definitions/steps"}
      }
    },
    "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/step"}},
    "step": {
      "type": "object",
      "if": {"required": ["repeat"]},
      "then": {"$ref": "#/definitions/repeat"},
      "else": {"$ref": "#/definitions/operation"}
    },
    "repeat": {
      "type": "object",
      "required": ["repeat", "ops"],
      "additionalProperties": false,
      "properties": {
        "repeat": {"type": "integer", "minimum": 1, "maximum": 1000000000},
        "ops": {"$ref": "#/definitions/steps"}
      }
    },
    "operation": {
      "type": "object",
      "required": ["op"],
      "properties": {
        "op": {
          "enum": [
            "spawn", "mmap", "munmap", "mprotect", "madvise", "mremap", "brk", "fork", "vfork",
            "clone", "exec", "exit", "wait", "touch", "switch", "syscall", "vmalloc", "vfree",
            "vm_map_ram", "vm_unmap_ram", "pressure", "fragment", "unfragment"
          ]
        }
      },
      "allOf": [
        {"if": {"properties": {"op": {"const": "spawn"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_spawn"}},
        {"if": {"properties": {"op": {"const": "mmap"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_mmap"}},
        {"if": {"properties": {"op": {"const": "munmap"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_munmap"}},
        {"if": {"properties": {"op": {"const": "mprotect"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_mprotect"}},
        {"if": {"properties": {"op": {"const": "madvise"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_madvise"}},
        {"if": {"properties": {"op": {"const": "mremap"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_mremap"}},
        {"if": {"properties": {"op": {"const": "brk"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_brk"}},
        {"if": {"properties": {"op": {"const": "fork"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_fork"}},
        {"if": {"properties": {"op": {"const": "vfork"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_vfork"}},
        {"if": {"properties": {"op": {"const": "clone"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_clone"}},
        {"if": {"properties": {"op": {"const": "exec"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_exec"}},
        {"if": {"properties": {"op": {"const": "exit"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_exit"}},
        {"if": {"properties": {"op": {"const": "wait"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_wait"}},
        {"if": {"properties": {"op": {"const": "touch"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_touch"}},
        {"if": {"properties": {"op": {"const": "switch"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_switch"}},
        {"if": {"properties": {"op": {"const": "syscall"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_syscall"}},
        {"if": {"properties": {"op": {"const": "vmalloc"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_vmalloc"}},
        {"if": {"properties": {"op": {"const": "vfree"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_vfree"}},
        {"if": {"properties": {"op": {"const": "vm_map_ram"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_vm_map_ram"}},
        {"if": {"properties": {"op": {"const": "vm_unmap_ram"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_vm_unmap_ram"}},
        {"if": {"properties": {"op": {"const": "pressure"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_pressure"}},
        {"if": {"properties": {"op": {"const": "fragment"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_fragment"}},
        {"if": {"properties": {"op": {"const": "unfragment"}}, "required": ["op"]},
         "then": {"$ref": "#/definitions/op_unfragment"}}
      ]
    },
    "op_spawn": {
      "description": "a fresh process with an empty address space",
      "required": ["task"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}
      }
    },
    "op_mmap": {
      "description": "maps a region; with file: that file's page cache",
      "required": ["task", "region", "size"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "size": {"$ref": "#/definitions/size"},
        "prot": {"$ref": "#/definitions/prot"}, "shared": {"type": "boolean"},
        "file": {"$ref": "#/definitions/name"}, "offset": {"$ref": "#/definitions/size"},
        "at": {"$ref": "#/definitions/address"}, "fixed": {"type": "boolean"},
        "stack": {"type": "boolean"}, "huge": {"enum": ["default", "madvise", "never"]}
      }
    },
    "op_munmap": {
      "description": "unmaps a region or a part of it",
      "required": ["task", "region"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "offset": {"$ref": "#/definitions/size"},
        "size": {"$ref": "#/definitions/size"}
      }
    },
    "op_mprotect": {
      "description": "changes the protection of a region or a part of it",
      "required": ["task", "region", "prot"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "offset": {"$ref": "#/definitions/size"},
        "size": {"$ref": "#/definitions/size"}, "prot": {"$ref": "#/definitions/prot"}
      }
    },
    "op_madvise": {
      "description": "gives advice on a region or a part of it",
      "required": ["task", "region", "advice"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "offset": {"$ref": "#/definitions/size"},
        "size": {"$ref": "#/definitions/size"},
        "advice": {"enum": ["dontneed", "free", "hugepage", "nohugepage", "other"]}
      }
    },
    "op_mremap": {
      "description": "resizes or moves a region; a part needs a new_region",
      "required": ["task", "region", "new_size"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "offset": {"$ref": "#/definitions/size"},
        "size": {"$ref": "#/definitions/size"}, "new_size": {"$ref": "#/definitions/size"},
        "new_region": {"$ref": "#/definitions/name"}, "at": {"$ref": "#/definitions/address"}
      }
    },
    "op_brk": {
      "description": "grows the heap, remembered as region, by size",
      "required": ["task", "region", "size"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "size": {"$ref": "#/definitions/size"}
      }
    },
    "op_fork": {
      "description": "child gets a copy of the address space",
      "required": ["task", "child"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}, "child": {"$ref": "#/definitions/name"}
      }
    },
    "op_vfork": {
      "description": "child borrows the address space until its exec or exit",
      "required": ["task", "child"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}, "child": {"$ref": "#/definitions/name"}
      }
    },
    "op_clone": {
      "description": "child is a thread of task's process",
      "required": ["task", "child"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}, "child": {"$ref": "#/definitions/name"}
      }
    },
    "op_exec": {
      "description": "a new program with an empty address space",
      "required": ["task"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}
      }
    },
    "op_exit": {
      "description": "the task ends",
      "required": ["task"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}
      }
    },
    "op_wait": {
      "description": "task reaps the child, which has exited",
      "required": ["task", "child"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}, "child": {"$ref": "#/definitions/name"}
      }
    },
    "op_touch": {
      "description": "user accesses, one each stride",
      "required": ["task", "region"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "offset": {"$ref": "#/definitions/size"},
        "size": {"$ref": "#/definitions/size"}, "access": {"enum": ["read", "write"]},
        "stride": {"$ref": "#/definitions/size"},
        "order": {"enum": ["ascending", "descending", "random"]},
        "seed": {"$ref": "#/definitions/seed"}
      }
    },
    "op_switch": {
      "description": "context switch to task",
      "required": ["task"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}
      }
    },
    "op_syscall": {
      "description": "a system call without memory effect",
      "required": ["task"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}
      }
    },
    "op_vmalloc": {
      "description": "kernel allocation of pages",
      "required": ["region", "pages"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "pages": {"$ref": "#/definitions/pages"},
        "huge": {"type": "boolean"}
      }
    },
    "op_vfree": {
      "description": "frees a vmalloc region",
      "required": ["region"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}, "region": {"$ref": "#/definitions/name"}
      }
    },
    "op_vm_map_ram": {
      "description": "kernel mapping of pages",
      "required": ["region", "pages"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"},
        "region": {"$ref": "#/definitions/name"}, "pages": {"$ref": "#/definitions/pages"}
      }
    },
    "op_vm_unmap_ram": {
      "description": "unmaps a vm_map_ram region",
      "required": ["region"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "task": {"$ref": "#/definitions/name"}, "region": {"$ref": "#/definitions/name"}
      }
    },
    "op_pressure": {
      "description": "the shrinkers free what they can",
      "additionalProperties": false,
      "properties": {
        "op": {}
      }
    },
    "op_fragment": {
      "description": "takes percent of the free memory in scattered pages",
      "required": ["percent"],
      "additionalProperties": false,
      "properties": {
        "op": {}, "percent": {"type": "integer", "minimum": 1, "maximum": 100},
        "seed": {"$ref": "#/definitions/seed"}
      }
    },
    "op_unfragment": {
      "description": "gives back what fragment took",
      "additionalProperties": false,
      "properties": {
        "op": {}
      }
    }
  }
}
)json";

}  // namespace kpksim::workload
