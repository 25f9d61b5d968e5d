// See event_file.h. Field numbers are those of TensorBoard's event.proto and summary.proto.
#include "moga/train/loop/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>

#include "moga/core/check.h"
#include "moga/core/files.h"

namespace moga {
namespace {

// CRC-32C (Castagnoli), bit-reversed polynomial.
constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0x82F63B78u : 0);
    table[i] = value;
  }
  return table;
}();

uint32_t crc32c(const std::string& data) {
  uint32_t crc = ~0u;
  for (const char c : data) crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

// TFRecord's masked form, so that a record may hold checksums itself.
uint32_t masked(uint32_t crc) { return std::rotr(crc, 15) + 0xA282EAD8u; }

template <class Number>
std::string little_endian(Number number) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(Number)>>(number);
  return {bytes.data(), bytes.size()};
}

// The four kinds of protobuf fields that events need.
class Message {
 public:
  Message& integer(int field, int64_t value) { return tag(field, 0).varint(static_cast<uint64_t>(value)); }
  Message& number(int field, double value) { return tag(field, 1).append(little_endian(value)); }
  Message& single(int field, float value) { return tag(field, 5).append(little_endian(value)); }
  Message& bytes(int field, const std::string& value) { return tag(field, 2).varint(value.size()).append(value); }
  Message& numbers(int field, const std::vector<double>& values) {
    std::string packed;
    for (const double value : values) packed += little_endian(value);
    return bytes(field, packed);
  }
  const std::string& text() const { return text_; }

 private:
  Message& tag(int field, unsigned kind) { return varint((static_cast<uint64_t>(field) << 3) | kind); }
  Message& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_ += static_cast<char>((value & 0x7F) | 0x80);
    text_ += static_cast<char>(value);
    return *this;
  }
  Message& append(const std::string& more) {
    text_ += more;
    return *this;
  }

  std::string text_;
};

constexpr int kSummary = 5, kSessionLog = 7;  // of Event
constexpr int64_t kSessionStart = 1;

// Group g as the bucket (g − ½, g + ½], its fraction of the tokens as the count.
std::string histogram(const std::vector<double>& fractions) {
  std::vector<double> limits;
  double sum = 0, squares = 0;
  for (size_t g = 0; g < fractions.size(); ++g) {
    const auto group = static_cast<double>(g);
    limits.push_back(group + 0.5);
    sum += group * fractions[g];
    squares += group * group * fractions[g];
  }
  return Message()
      .number(1, -0.5)
      .number(2, limits.back())
      .number(3, 1)
      .number(4, sum)
      .number(5, squares)
      .numbers(6, limits)
      .numbers(7, fractions)
      .text();
}

std::string layer_name(const std::string& name, size_t layer) { return name + "/layer " + std::to_string(layer); }

// Of the eight bytes after a PNG's signature and the head of its first chunk.
int64_t png_number(const std::string& png, size_t at) {
  int64_t number = 0;
  for (size_t i = at; i < at + 4; ++i) number = number << 8 | static_cast<unsigned char>(png[i]);
  return number;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::vector<std::pair<std::string, double>> scalars_of(const nlohmann::json& line) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& [name, value] : line.items()) {
    if (name == "step") continue;
    if (value.is_number()) scalars.emplace_back(name, value.get<double>());
    if (value.is_object())
      for (const auto& [part, number] : value.items())
        if (number.is_number()) scalars.emplace_back(name + "/" + part, number.get<double>());
    if (!value.is_array()) continue;
    for (size_t layer = 0; layer < value.size(); ++layer)
      if (value[layer].is_number()) scalars.emplace_back(layer_name(name, layer), value[layer].get<double>());
  }
  return scalars;
}

EventFile::EventFile(const std::filesystem::path& run, int64_t step) {
  make_folder(run);
  path_ = run / ("events.out.tfevents." + std::to_string(static_cast<int64_t>(wall_time())) + "." +
                 std::to_string(getpid()) + ".moga");
  file_.open(path_, std::ios::binary | std::ios::trunc);
  check(file_.good(), path_.string(), ": cannot be written");
  write_event(0, 3, "brain.Event:2");
  if (step > 0) write_event(step, kSessionLog, Message().integer(1, kSessionStart).text());
}

void EventFile::add_line(int64_t step, const nlohmann::json& line) {
  Message summary;
  for (const auto& [name, value] : scalars_of(line))
    summary.bytes(1, Message().bytes(1, name).single(2, static_cast<float>(value)).text());
  if (const auto groups = line.find("groups"); groups != line.end())
    for (size_t layer = 0; layer < groups->size(); ++layer) {
      if ((*groups)[layer].empty()) continue;  // without a router
      summary.bytes(1, Message()
                           .bytes(1, layer_name("groups", layer))
                           .bytes(5, histogram((*groups)[layer].get<std::vector<double>>()))
                           .text());
    }
  write_event(step, kSummary, summary.text());
}

void EventFile::add_png(int64_t step, const std::string& name, const std::filesystem::path& png) {
  constexpr int64_t kMostBytes = int64_t{1} << 26;
  constexpr int64_t kColours = 3;
  const std::string content = read_text(png, kMostBytes);
  check(content.size() > 24 && content.compare(1, 3, "PNG") == 0, png.string(), ": not a PNG file");
  const std::string image = Message()
                                .integer(1, png_number(content, 20))
                                .integer(2, png_number(content, 16))
                                .integer(3, kColours)
                                .bytes(4, content)
                                .text();
  write_event(step, kSummary, Message().bytes(1, Message().bytes(1, name).bytes(4, image).text()).text());
}

void EventFile::write_event(int64_t step, int field, const std::string& content) {
  const std::string event = Message().number(1, wall_time()).integer(2, step).bytes(field, content).text();
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  file_ << length << little_endian(masked(crc32c(length))) << event << little_endian(masked(crc32c(event)));
  file_.flush();
  check(file_.good(), path_.string(), ": cannot be written");
}

}  // namespace moga
