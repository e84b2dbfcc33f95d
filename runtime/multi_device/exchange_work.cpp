#include "runtime/multi_device/exchange_work.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

void ExchangeWork::pull(const Thread& thread) const {
  for (const BoxCopy& copy : copies_)
    copy.run(thread);
  for (const BoxCombine& combine : combines_)
    combine.run(thread);
}

void ExchangeWork::settle(const Thread& thread) const {
  for (const BoxCopy& copy : settling_)
    copy.run(thread);
}

namespace {

/// Elements that the same devices have.
struct Region {
  Box box;
  std::vector<int> holders;
};

/// Cuts `box` into regions by which devices hold them.
std::vector<Region> regions(const Box& box, const Sharding& sharding) {
  std::vector<Region> list = {{box, {}}};
  for (int device : sharding.holders()) {
    std::vector<Region> next;
    for (Region& region : list) {
      Box held = intersect(region.box, sharding.at(device));
      for (Box& rest : difference(region.box, held))
        next.push_back({std::move(rest), region.holders});
      if (is_empty(held))
        continue;
      region.holders.push_back(device);
      next.push_back({std::move(held), std::move(region.holders)});
    }
    list = std::move(next);
  }
  return list;
}

void add(std::vector<int>& devices, int device) {
  if (std::find(devices.begin(), devices.end(), device) == devices.end())
    devices.push_back(device);
}

} // namespace

class ExchangePlanner {
public:
  ExchangePlanner(const Exchange& exchange, const std::vector<ExchangeMemory>& memory)
      : exchange_(exchange), memory_(memory), steps_(steps_of(exchange)), works_(memory.size()),
        combined_(memory.size()) {}

  std::vector<ExchangeWork> run() {
    for (int i = 0; i < devices(); ++i)
      if (!is_empty(combined_box(i)))
        combine(i);
    for (const Move& move : steps_.moves)
      if (exchange_.from.partial())
        fetch(move);
      else
        copy(move);
    return std::move(works_);
  }

private:
  int devices() const { return static_cast<int>(memory_.size()); }
  int64_t element_bytes() const { return byte_size(exchange_.type.dtype); }
  ExchangeWork& work(int i) { return works_[static_cast<size_t>(i)]; }
  const ExchangeMemory& memory(int i) const { return memory_[static_cast<size_t>(i)]; }
  const Box& combined_box(int i) const { return steps_.combined[static_cast<size_t>(i)]; }

  /// Other devices that read the source of device `i` within `box` while they combine.
  std::vector<int> readers(int i, const Box& box) const {
    std::vector<int> list;
    for (int k = 0; k < devices(); ++k)
      if (k != i && !is_empty(intersect(intersect(box, exchange_.from.at(i)), combined_box(k))))
        list.push_back(k);
    return list;
  }

  void combine(int i) {
    const Box& box = combined_box(i);
    BoxView to = memory(i).target;
    std::vector<int> others = memory(i).in_place() ? readers(i, box) : std::vector<int>{};
    if (!others.empty()) {
      work(i).aside_ = Memory(elements(box) * element_bytes());
      to = {work(i).aside_.data(), box, to.layout};
      work(i).settling_.emplace_back(box, memory(i).target, to, element_bytes());
      for (int other : others)
        add(work(i).pulled_before_, other);
    }
    combined_[static_cast<size_t>(i)] = to;
    for (const Region& region : regions(box, exchange_.from)) {
      NETC_CHECK(!region.holders.empty(), "nobody holds {} of `{}`", to_text(region.box),
                 exchange_.name);
      std::vector<BoxView> sources;
      for (int holder : region.holders) {
        sources.push_back(memory(holder).source);
        if (holder != i)
          add(work(i).sources_, holder);
      }
      work(i).combines_.emplace_back(region.box, to, sources, exchange_.type.dtype,
                                     exchange_.from.combine);
    }
  }

  /// A move of what `move.from` has combined.
  void fetch(const Move& move) {
    const BoxView& from = combined_[static_cast<size_t>(move.from)];
    work(move.to).settling_.emplace_back(move.box, memory(move.to).target, from, element_bytes());
    add(work(move.to).results_, move.from);
    add(work(move.to).pulled_before_, move.from);
    if (memory(move.to).in_place())
      for (int reader : readers(move.to, move.box))
        add(work(move.to).pulled_before_, reader);
  }

  /// A move of what `move.from` had before.
  void copy(const Move& move) {
    if (move.from == move.to && memory(move.to).in_place())
      return; // it is there
    NETC_CHECK(!memory(move.to).in_place(), "`{}` cannot be received in place by device {}",
               exchange_.name, move.to);
    work(move.to).copies_.emplace_back(move.box, memory(move.to).target, memory(move.from).source,
                                       element_bytes());
    if (move.from != move.to)
      add(work(move.to).sources_, move.from);
  }

  const Exchange& exchange_;
  const std::vector<ExchangeMemory>& memory_;
  ExchangeSteps steps_;
  std::vector<ExchangeWork> works_;
  std::vector<BoxView> combined_; ///< Where each device puts what it combines.
};

std::vector<ExchangeWork> works_of(const Exchange& exchange,
                                   const std::vector<ExchangeMemory>& memory) {
  return ExchangePlanner(exchange, memory).run();
}

} // namespace netc
