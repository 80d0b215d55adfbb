#include "backends/watch_table.h"

#include <cstdint>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"

namespace coaio {

using namespace internal;
namespace {

void arm_and_touch(WatchTable<Watch>& table, std::uint32_t slot, Events interest) {
  table.arm(5, {.slot = slot, .generation = 1}, interest, Trigger::kOneShot);
  table.touch(slot);
}

std::vector<std::uint32_t> take_changes(WatchTable<Watch>& table) {
  std::vector<std::uint32_t> slots;
  table.apply_changes([&](std::uint32_t slot, Watch&) {
    slots.push_back(slot);
    return true;
  });
  return slots;
}

TEST_CASE("a key is found while it is armed, by slot and generation") {
  WatchTable<Watch> table;
  table.arm(5, {.slot = 3, .generation = 7}, Events::kIn, Trigger::kOneShot);
  REQUIRE(table.find({.slot = 3, .generation = 7}) != nullptr);
  CHECK(table.find({.slot = 3, .generation = 7})->fd == 5);
  CHECK(table.find({.slot = 3, .generation = 6}) == nullptr);
  CHECK(table.find({.slot = 2, .generation = 7}) == nullptr);
  CHECK(table.find({.slot = 400, .generation = 7}) == nullptr);
  table.disarm({.slot = 3, .generation = 7});
  CHECK(table.find({.slot = 3, .generation = 7}) == nullptr);
}

TEST_CASE("a slot is listed once, however often it changes") {
  WatchTable<Watch> table;
  arm_and_touch(table, 1, Events::kIn);
  arm_and_touch(table, 0, Events::kIn);
  arm_and_touch(table, 1, Events::kOut);
  CHECK(table.has_changes());
  CHECK(take_changes(table) == std::vector<std::uint32_t>{1, 0});
  CHECK_FALSE(table.has_changes());
  CHECK(take_changes(table).empty());
}

TEST_CASE("disarming finds a live key only") {
  WatchTable<Watch> table;
  CHECK(table.disarm({.slot = 9, .generation = 1}) == nullptr);
  table.arm(5, {.slot = 1, .generation = 2}, Events::kIn, Trigger::kOneShot);
  CHECK(table.disarm({.slot = 1, .generation = 1}) == nullptr);
  const Watch* watch = table.disarm({.slot = 1, .generation = 2});
  REQUIRE(watch != nullptr);
  CHECK_FALSE(watch->live);
  CHECK(watch->interest == Events::kNone);
  CHECK(table.disarm({.slot = 1, .generation = 2}) == nullptr);
}

TEST_CASE("changes at which an error stopped the list are kept in order") {
  WatchTable<Watch> table;
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    arm_and_touch(table, slot, Events::kIn);
  }
  CHECK_FALSE(table.apply_changes([](std::uint32_t slot, Watch&) { return slot < 2; }));
  arm_and_touch(table, 0, Events::kOut);
  arm_and_touch(table, 3, Events::kOut);
  CHECK(take_changes(table) == std::vector<std::uint32_t>{2, 3, 0});
}

}  // namespace
}  // namespace coaio
