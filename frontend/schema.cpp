#include "frontend/schema.h"

#include "frontend/keys.h"
#include "frontend/readers.h"

#include "ir/op.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace netc {

namespace {

using Json = nlohmann::ordered_json;
using namespace frontend;

/// A limit as a whole number where it is one, so that it prints without a point.
Json number(double value) {
  return value == std::floor(value) ? Json(static_cast<int64_t>(value)) : Json(value);
}

Json ranged(const char* type, const AttrDef& def) {
  Json schema = {{"type", type}};
  if (!std::isinf(def.min))
    schema["minimum"] = number(def.min);
  if (!std::isinf(def.max))
    schema["maximum"] = number(def.max);
  return schema;
}

Json list_of(const Json& item, int least, int most) {
  Json schema = {{"type", "array"}, {"items", item}};
  if (least)
    schema["minItems"] = least;
  if (most)
    schema["maxItems"] = most;
  return schema;
}

Json integers_schema(const AttrDef& def) {
  Json one = ranged("integer", def);
  if (def.length == 0)
    return list_of(one, 0, 0);
  Json forms = {one, list_of(one, def.length, def.length)};
  if (def.length == 4)
    forms.push_back(list_of(one, 2, 2));
  return {{"anyOf", forms}};
}

Json fallback_json(const Attribute& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

Json key_schema(const AttrDef& def) {
  Json schema;
  switch (def.kind) {
  case AttrKind::boolean:
    schema = {{"type", "boolean"}};
    break;
  case AttrKind::integer:
    schema = ranged("integer", def);
    break;
  case AttrKind::real:
    schema = ranged("number", def);
    break;
  case AttrKind::text:
    schema = def.choices.empty() ? Json{{"type", "string"}} : Json{{"enum", def.choices}};
    break;
  case AttrKind::integers:
    schema = integers_schema(def);
    break;
  }
  schema["description"] = def.doc;
  if (def.fallback)
    schema["default"] = fallback_json(*def.fallback);
  return schema;
}

/// A map with the given keys and no others.
Json map_schema(const std::vector<AttrDef>& keys) {
  Json schema = {{"type", "object"},
                 {"properties", Json::object()},
                 {"required", Json::array()},
                 {"additionalProperties", false}};
  for (const AttrDef& def : keys) {
    schema["properties"][def.name] = key_schema(def);
    if (!def.fallback)
      schema["required"].push_back(def.name);
  }
  return schema;
}

void add_key(Json& map, const std::string& name, Json schema, bool required = false) {
  map["properties"][name] = std::move(schema);
  if (required)
    map["required"].push_back(name);
}

Json name_schema() {
  return {{"type", "string"}, {"pattern", "^[A-Za-z][A-Za-z0-9_-]{0,63}$"}};
}

Json input_schema() {
  Json schema = map_schema(input_keys());
  add_key(schema, "stored", key_schema(stored_key()));
  Json mean = ranged("number", mean_key());
  add_key(schema, "mean",
          {{"anyOf", {{{"enum", {"none", "channel"}}}, mean, list_of(mean, 1, 0)}},
           {"description", mean_key().doc},
           {"default", "none"}});
  return schema;
}

Json init_schema() {
  Json forms = Json::array({map_schema({init_bias_key()})});
  for (const AttrDef& rule : init_rules()) {
    Json form = map_schema({init_bias_key()});
    Json value = key_schema(rule);
    if (rule.kind == AttrKind::boolean)
      value = {{"const", true}, {"description", rule.doc}};
    add_key(form, rule.name, value, true);
    forms.push_back(form);
  }
  return {{"oneOf", forms}};
}

Json layer_schema(const OpDef& op) {
  Json schema = map_schema(op.layer->keys.empty() ? op.attrs : op.layer->keys);
  add_key(schema, "name", name_schema(), true);
  add_key(schema, "type", {{"const", op.name}, {"description", op.doc}}, true);
  Json names = list_of({{"type", "string"}}, op.layer->min_inputs, op.layer->max_inputs);
  add_key(schema, "from",
          {{"anyOf", {{{"type", "string"}}, names}},
           {"description", "layers it reads; the one above when left out"}},
          op.layer->min_inputs > 1);
  if (op.layer->parameters)
    add_key(schema, "init", {{"$ref", "#/$defs/init"}});
  return schema;
}

Json schedule_schema() {
  Json forms = Json::array();
  for (const ScheduleKeys& kind : schedule_kinds()) {
    Json form = map_schema(kind.keys);
    add_key(form, "type", {{"const", kind.type}}, true);
    if (kind.at) {
      Json at = list_of(ranged("number", step_key()), 1, 0);
      at["description"] = step_key().doc;
      add_key(form, step_key().name, at, true);
    }
    forms.push_back(form);
  }
  return {{"oneOf", forms}};
}

Json train_schema() {
  Json schema = map_schema(train_keys());
  add_key(schema, "optimizer", map_schema(optimizer_keys()));
  add_key(schema, "parameters", list_of(map_schema(rule_keys()), 0, 0));
  add_key(schema, "schedule", schedule_schema());
  return schema;
}

/// The forms of an entry: a word, or a map with the keys that go with its cut.
Json cut_schema() {
  Json words = Json::array(), forms = Json::array();
  for (const std::string& word : cut_key().choices) {
    Json form = map_schema({});
    add_key(form, "cut", {{"const", word}}, true);
    bool complete = true; // says all without other keys
    for (const CutKey& more : more_cut_keys())
      if (std::find(more.cuts.begin(), more.cuts.end(), *parse_cut(word)) != more.cuts.end()) {
        add_key(form, more.key.name, key_schema(more.key), !more.key.fallback);
        complete = complete && more.key.fallback;
      }
    if (complete)
      words.push_back(word);
    forms.push_back(form);
  }
  forms.push_back({{"enum", words}, {"description", cut_key().doc}});
  return {{"oneOf", forms}};
}

/// The schema of a kind of files.
std::string document(const char* title, const Json& schema) {
  Json root = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
  root.update(schema);
  return root.dump(2) + "\n";
}

} // namespace

std::string json_schema() {
  Json layers = Json::array();
  for (const OpDef* op : all_ops())
    if (op->layer)
      layers.push_back(layer_schema(*op));
  Json schema = map_schema({});
  add_key(schema, "name", name_schema(), true);
  add_key(schema, "input", input_schema(), true);
  add_key(schema, "layers", list_of({{"oneOf", layers}}, 1, 0), true);
  add_key(schema, "train", train_schema());
  add_key(schema, "partition", map_schema(partition_keys()));
  schema["$defs"] = {{"init", init_schema()}};
  return document("netc network description", schema);
}

std::string strategy_schema() {
  Json schema = map_schema(strategy_keys());
  add_key(schema, "layers", {{"type", "object"}, {"additionalProperties", cut_schema()}});
  return document("netc strategy", schema);
}

} // namespace netc
