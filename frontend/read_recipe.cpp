// The sections `input`, `train` and `partition`.

#include "frontend/keys.h"
#include "frontend/readers.h"

#include <algorithm>

namespace netc::frontend {

namespace {

/// `mean: none | channel | number | [numbers]`.
void read_mean(const YamlNode& value, InputSpec& spec, const std::string& what,
               Diagnostics& diagnostics) {
  ValueReader reader(diagnostics);
  if (value.is_scalar() && value.text == "none") {
    spec.mean = Mean::none;
  } else if (value.is_scalar() && value.text == "channel") {
    spec.mean = Mean::channel;
  } else if (value.is_list() || (value.is_scalar() && !value.quoted &&
                                 value.text.find_first_of("0123456789") != std::string::npos)) {
    auto numbers = reader.reals(value, mean_key(), what);
    if (!numbers)
      return;
    spec.mean = Mean::values;
    spec.mean_values = *numbers;
    if (!value.is_list())
      spec.mean_values.resize(static_cast<size_t>(spec.channels), numbers->front());
    if (spec.mean_values.size() != static_cast<size_t>(spec.channels))
      diagnostics.error(value.loc, fmt::format("{} has {} numbers, the input has {} channels", what,
                                               spec.mean_values.size(), spec.channels));
  } else {
    Diagnostic& d =
        reader.mismatch(value, what, "`none`, `channel`, a number or a list of numbers");
    if (value.is_scalar())
      d.message += suggestion(value.text, {"none", "channel"});
  }
}

void read_stored(const YamlNode* value, InputSpec& spec, const std::string& what,
                 Diagnostics& diagnostics) {
  spec.stored_height = spec.height;
  spec.stored_width = spec.width;
  if (!value)
    return;
  auto size = ValueReader(diagnostics).attribute(*value, stored_key(), what);
  if (!size)
    return;
  const auto& sides = std::get<std::vector<int64_t>>(*size);
  spec.stored_height = sides[0];
  spec.stored_width = sides[1];
  if (sides[0] < spec.height || sides[1] < spec.width)
    diagnostics
        .error(value->loc, fmt::format("stored images of {}x{} are smaller than the input of {}x{}",
                                       sides[0], sides[1], spec.height, spec.width))
        .note("the input is cut from a stored image; leave `stored` out to use them whole");
}

} // namespace

InputSpec read_input(const YamlNode& value, Diagnostics& diagnostics) {
  InputSpec spec;
  Section section(value, "`input`", diagnostics);
  Attributes keys;
  bool ok = section.read(input_keys(), keys);
  const YamlNode* stored = section.take("stored");
  const YamlNode* mean = section.take("mean");
  section.finish();
  if (!ok)
    return spec;
  spec.channels = keys.integer("channels");
  spec.height = keys.integer("height");
  spec.width = keys.integer("width");
  spec.resize = keys.text("resize") == "warp" ? Resize::warp : Resize::cover;
  spec.crop = keys.text("crop") == "random" ? Crop::random : Crop::center;
  spec.flip = keys.flag("flip");
  spec.scale = keys.real("scale");
  if (spec.scale == 0)
    diagnostics.error(section.take("scale")->loc, "`scale` of `input` must not be 0");
  read_stored(stored, spec, section.what("stored"), diagnostics);
  if (mean)
    read_mean(*mean, spec, section.what("mean"), diagnostics);
  return spec;
}

namespace {

OptimizerSpec read_optimizer(const YamlNode& value, Diagnostics& diagnostics) {
  Section section(value, "`train.optimizer`", diagnostics);
  Attributes keys;
  bool ok = section.read(optimizer_keys(), keys);
  section.finish();
  return ok ? OptimizerSpec{keys.real("rate"), keys.real("momentum"), keys.real("decay")}
            : OptimizerSpec{};
}

std::vector<ParameterRule> read_rules(const YamlNode& value, std::vector<Loc>& locs,
                                      Diagnostics& diagnostics) {
  std::vector<ParameterRule> rules;
  if (!value.is_list()) {
    ValueReader(diagnostics)
        .mismatch(value, "`parameters` of `train`", "a list of rules")
        .note("for example [{match: \"*.bias\", rate: 2, decay: 0}]");
    return rules;
  }
  for (const YamlPtr& item : value.items) {
    Section section(*item, fmt::format("rule {} of `train.parameters`", rules.size() + 1),
                    diagnostics);
    Attributes keys;
    bool ok = section.read(rule_keys(), keys);
    section.finish();
    rules.push_back(ok ? ParameterRule{keys.text("match"), keys.real("rate"), keys.real("decay")}
                       : ParameterRule{});
    locs.push_back(item->loc);
  }
  return rules;
}

/// The ascending epochs of `at`.
std::vector<double> read_steps(const YamlNode* value, const std::string& what,
                               Diagnostics& diagnostics) {
  if (!value)
    return {};
  if (!value->is_list() || value->items.empty()) {
    ValueReader(diagnostics).mismatch(*value, what, "a list of epochs such as [30, 60]");
    return {};
  }
  auto at = ValueReader(diagnostics).reals(*value, step_key(), what);
  if (!at)
    return {};
  for (size_t i = 1; i < at->size(); ++i)
    if ((*at)[i] <= (*at)[i - 1])
      diagnostics.error(
          value->items[i]->loc,
          fmt::format("the epochs of {} must ascend, {} follows {}", what, (*at)[i], (*at)[i - 1]));
  return *at;
}

bool has_key(const ScheduleKeys& kind, const std::string& key) {
  return (kind.at && key == step_key().name) ||
         std::any_of(kind.keys.begin(), kind.keys.end(),
                     [&](const AttrDef& def) { return def.name == key; });
}

/// Reports the keys that belong to other kinds of schedule.
void reject_foreign_keys(const YamlNode& value, const ScheduleKeys& kind, Section& section,
                         Diagnostics& diagnostics) {
  for (const YamlEntry& entry : value.entries)
    for (const ScheduleKeys& other : schedule_kinds())
      if (!has_key(kind, entry.key) && has_key(other, entry.key)) {
        section.take(entry.key);
        diagnostics
            .error(entry.loc,
                   fmt::format("a schedule of type `{}` has no key `{}`", kind.type, entry.key))
            .note(fmt::format("`{}` belongs to the type `{}`", entry.key, other.type));
        break;
      }
}

ScheduleSpec read_schedule(const YamlNode& value, Diagnostics& diagnostics) {
  ScheduleSpec spec;
  Section section(value, "`train.schedule`", diagnostics);
  AttrDef type_key{.name = "type", .kind = AttrKind::text, .doc = "kind of schedule"};
  for (const ScheduleKeys& kind : schedule_kinds())
    type_key.choices.push_back(kind.type);
  Attributes keys;
  if (!section.read({type_key}, keys)) { // What other keys it may have is unknown.
    section.report_missing();
    return spec;
  }
  const std::string type = keys.text("type");
  auto kind = std::find_if(schedule_kinds().begin(), schedule_kinds().end(),
                           [&](const ScheduleKeys& k) { return k.type == type; });
  bool ok = section.read(kind->keys, keys);
  if (kind->at)
    spec.at = read_steps(section.require("at", step_key().doc), section.what("at"), diagnostics);
  spec.kind = type == "steps"     ? ScheduleSpec::Kind::steps
              : type == "plateau" ? ScheduleSpec::Kind::plateau
                                  : ScheduleSpec::Kind::constant;
  reject_foreign_keys(value, *kind, section, diagnostics);
  section.finish();
  if (ok && keys.has("factor"))
    spec.factor = keys.real("factor");
  if (ok && keys.has("drops")) {
    spec.drops = static_cast<int>(keys.integer("drops"));
    spec.patience = static_cast<int>(keys.integer("patience"));
  }
  return spec;
}

} // namespace

TrainSpec read_train(const YamlNode& value, std::vector<Loc>& rule_locs, Diagnostics& diagnostics) {
  TrainSpec spec;
  Section section(value, "`train`", diagnostics);
  Attributes keys;
  if (section.read(train_keys(), keys)) {
    spec.batch = keys.integer("batch");
    spec.epochs = keys.real("epochs");
    spec.seed = static_cast<uint64_t>(keys.integer("seed"));
    if (spec.epochs == 0)
      diagnostics.error(section.take("epochs")->loc, "`epochs` of `train` must be above 0");
  }
  if (const YamlNode* optimizer = section.take("optimizer"))
    spec.optimizer = read_optimizer(*optimizer, diagnostics);
  if (const YamlNode* rules = section.take("parameters"))
    spec.parameters = read_rules(*rules, rule_locs, diagnostics);
  if (const YamlNode* schedule = section.take("schedule"))
    spec.schedule = read_schedule(*schedule, diagnostics);
  section.finish();
  return spec;
}

PartitionSpec read_partition(const YamlNode& value, Diagnostics& diagnostics) {
  Section section(value, "`partition`", diagnostics);
  Attributes keys;
  PartitionSpec spec;
  if (section.read(partition_keys(), keys)) {
    spec.devices = keys.integer("devices");
    spec.strategy = keys.text("strategy");
    spec.strategy_loc = section.take("strategy")->loc;
  }
  section.finish();
  return spec;
}

} // namespace netc::frontend
