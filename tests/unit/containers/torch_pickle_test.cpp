#include "sgpt_mi/containers/torch_pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <vector>

#include "support/temporary_folder.h"

namespace sgpt_mi::containers {
namespace {

using test::input_error;
using test::read_all;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// --- pickles, opcode by opcode (protocol 2) -----------------------------------------------------

std::string global(const std::string& module, const std::string& name) {
  return std::string("c").append(module).append("\n").append(name).append("\n");
}

std::string text(const std::string& value) {
  const auto size = static_cast<std::uint32_t>(value.size());
  std::string opcode = "X....";
  std::memcpy(opcode.data() + 1, &size, sizeof(size));
  return opcode + value;
}

std::string number(std::int32_t value) {
  std::string opcode = "J....";
  std::memcpy(opcode.data() + 1, &value, sizeof(value));
  return opcode;
}

std::string tuple(std::initializer_list<std::string> items) {
  return std::accumulate(items.begin(), items.end(), std::string("(")) + "t";
}

std::string numbers(std::initializer_list<std::int32_t> values) {
  std::string items = "(";
  for (const std::int32_t value : values) items += number(value);
  return items + "t";
}

std::string storage(const std::string& key, std::int32_t count,
                    const std::string& type = "FloatStorage") {
  return tuple({text("storage"), global("torch", type), text(key), text("cuda:0"), number(count)}) +
         "Q";
}

std::string tensor(const std::string& of_storage, std::int32_t offset,
                   std::initializer_list<std::int32_t> sizes,
                   std::initializer_list<std::int32_t> strides) {
  const std::string hooks = global("collections", "OrderedDict") + ")R";
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({of_storage, number(offset), numbers(sizes), numbers(strides), "\x89", hooks}) + "R";
}

/// A whole pickle that gives this value.
std::string pickle(const std::string& value) {
  return std::string("\x80\x02").append(value).append(".");
}

/// An OrderedDict with these items, as the value of a whole pickle.
std::string state_dict(std::initializer_list<std::string> items, const std::string& after = "") {
  const std::string empty = global("collections", "OrderedDict").append(")R(");
  return pickle(std::accumulate(items.begin(), items.end(), empty).append("u").append(after));
}

// --- files --------------------------------------------------------------------------------------

/// A little-endian number of so many bytes.
std::string little(std::uint64_t value, std::size_t bytes) {
  std::string digits(sizeof(value), '\0');
  std::memcpy(digits.data(), &value, sizeof(value));
  return digits.substr(0, bytes);
}

struct Record {
  std::string name;
  std::string data;
  std::uint16_t method = 0;  // 0: stored
};

/// A zip archive of these records. With `zip64`, sizes and offsets are in the 64-bit fields.
std::string zip(const std::vector<Record>& records, bool zip64 = false) {
  std::string file;
  std::string directory;
  const std::uint64_t in64 = 0xffffffff;
  for (const Record& record : records) {
    const std::uint64_t size = record.data.size();
    const std::string extra = zip64 ? little(1, 2) + little(24, 2) + little(size, 8) +
                                          little(size, 8) + little(file.size(), 8)
                                    : "";
    const std::string common = little(0, 2) + little(record.method, 2) + little(0, 8) +
                               little(zip64 ? in64 : size, 4) + little(zip64 ? in64 : size, 4) +
                               little(record.name.size(), 2);
    directory += little(0x02014b50, 4) + little(0, 4) + common + little(extra.size(), 2) +
                 std::string(10, '\0') + little(zip64 ? in64 : file.size(), 4) + record.name +
                 extra;
    file += little(0x04034b50, 4) + little(0, 2) + common + little(5, 2) + record.name +
            std::string(5, 'F') + record.data;
  }
  const std::uint64_t start = file.size();
  file += directory;
  if (zip64) {
    const std::uint64_t end64 = file.size();
    file += little(0x06064b50, 4) + little(44, 8) + std::string(12, '\0') +
            little(records.size(), 8) + little(records.size(), 8) + little(directory.size(), 8) +
            little(start, 8);
    file += little(0x07064b50, 4) + little(0, 4) + little(end64, 8) + little(1, 4);
  }
  return file + little(0x06054b50, 4) + little(0, 4) + little(zip64 ? 0xffff : records.size(), 2) +
         little(zip64 ? 0xffff : records.size(), 2) + little(directory.size(), 4) +
         little(zip64 ? in64 : start, 4) + little(0, 2);
}

/// Six floats 0..5 as storage "0" beside a pickle.
class TorchPickleTest : public ::testing::Test {
 protected:
  [[nodiscard]] static std::vector<Record> records(const std::string& data_pkl) {
    const std::vector<float> values{0, 1, 2, 3, 4, 5};
    const std::string bytes(reinterpret_cast<const char*>(values.data()), 24);
    return {{"m/data.pkl", data_pkl}, {"m/byteorder", "little"}, {"m/data/0", bytes}};
  }

  [[nodiscard]] std::filesystem::path write(const std::string& data_pkl) const {
    return folder_.file("pytorch_model.bin", zip(records(data_pkl)));
  }

  [[nodiscard]] std::string error_for(const std::string& data_pkl) const {
    const auto path = write(data_pkl);
    return input_error([&] { (void)open_torch_pickle(path); });
  }

  TemporaryFolder folder_;
};

std::vector<float> floats(const TensorData& data) {
  std::vector<float> values(data.bytes.size() / sizeof(float));
  std::memcpy(values.data(), data.bytes.data(), data.bytes.size());
  return values;
}

TEST_F(TorchPickleTest, ReadsSharedOffsetAndTransposedTensors) {
  const std::string shared = storage("0", 6);
  const auto source =
      open_torch_pickle(write(state_dict({text("whole"), tensor(shared, 0, {2, 3}, {3, 1}),       //
                                          text("tail"), tensor(shared, 4, {2}, {1}),              //
                                          text("transposed"), tensor(shared, 0, {3, 2}, {1, 3}),  //
                                          text("repeated"), tensor(shared, 5, {2, 1}, {0, 1}),    //
                                          text("scalar"), tensor(shared, 3, {}, {}),              //
                                          text("none"), tensor(shared, 6, {0, 4}, {4, 1})})));
  EXPECT_EQ(source->tensors().size(), 6U);
  EXPECT_EQ(source->find("whole")->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_THAT(floats(source->read("whole")), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(floats(source->read("tail")), ElementsAre(4, 5));
  EXPECT_THAT(floats(source->read("transposed")), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(floats(source->read("repeated")), ElementsAre(5, 5));
  EXPECT_THAT(floats(source->read("scalar")), ElementsAre(3));
  EXPECT_EQ(source->read("none").bytes.size(), 0U);
  // In place: the second tensor lies inside the first.
  EXPECT_EQ(source->read("tail").bytes.data(), source->read("whole").bytes.data() + 16);
  EXPECT_THAT(input_error([&] { (void)source->read("absent"); }), HasSubstr("no tensor 'absent'"));
}

TEST_F(TorchPickleTest, ReadsStateDictAttributesAndParameters) {
  const std::string metadata = std::string("}").append(text("_metadata")).append("}sb");
  const std::string parameter = global("torch._utils", "_rebuild_parameter") +
                                tuple({tensor(storage("0", 6), 1, {2}, {1}), "\x88",
                                       global("collections", "OrderedDict") + ")R"}) +
                                "R";
  const auto source = open_torch_pickle(write(state_dict({text("w"), parameter}, metadata)));
  EXPECT_THAT(floats(source->read("w")), ElementsAre(1, 2));
}

TEST_F(TorchPickleTest, NumbersAndWordsBesideTheTensorsAreLeftOut) {
  const auto source = open_torch_pickle(
      write(state_dict({text("step"), number(7), text("w"), tensor(storage("0", 6), 0, {6}, {1}),
                        text("note"), text("best")})));
  ASSERT_EQ(source->tensors().size(), 1U);
  EXPECT_EQ(source->tensors()[0].name, "w");
}

TEST_F(TorchPickleTest, OtherClassesAreRefusedByName) {
  EXPECT_THAT(error_for(pickle(global("os", "system") + text("true") + "\x85R")),
              AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("'os.system'")));
  EXPECT_THAT(error_for(state_dict({text("w"), global("builtins", "eval") + text("1") + "\x85R"})),
              HasSubstr("'builtins.eval'"));
  EXPECT_THAT(
      error_for(state_dict({text("w"), global("numpy.core.multiarray", "_reconstruct") + ")R"})),
      HasSubstr("'numpy.core.multiarray._reconstruct'"));
}

TEST_F(TorchPickleTest, OnlyADictionaryOfTensorsIsTaken) {
  EXPECT_THAT(error_for(pickle(number(3))), HasSubstr("a dictionary of tensors"));
  EXPECT_THAT(error_for(state_dict({text("epoch"), number(3)})),
              HasSubstr("a dictionary without a tensor"));
  EXPECT_THAT(error_for(state_dict({text("model"), "}"})),
              AllOf(HasSubstr("'model' is a dict"), HasSubstr("a tensor was expected")));
  EXPECT_THAT(error_for(state_dict({number(3), tensor(storage("0", 6), 0, {1}, {1})})),
              HasSubstr("a key that is a int"));
}

TEST_F(TorchPickleTest, TensorsMustStayInsideTheirStorage) {
  const auto with = [&](std::int32_t offset, std::initializer_list<std::int32_t> sizes,
                        std::initializer_list<std::int32_t> strides) {
    // The pickle claims more elements than the record holds: the record decides.
    return error_for(state_dict({text("w"), tensor(storage("0", 600), offset, sizes, strides)}));
  };
  const auto outside = AllOf(HasSubstr("'w'"), HasSubstr("outside its storage of 24 bytes"));
  EXPECT_THAT(with(0, {7}, {1}), outside);
  EXPECT_THAT(with(5, {2}, {1}), outside);
  EXPECT_THAT(with(0, {2, 3}, {4, 1}), outside);
  EXPECT_THAT(with(0, {2}, {2147483647}), outside);
  EXPECT_THAT(with(-1, {2}, {1}), outside);
  EXPECT_THAT(with(3, {2}, {-1}), outside);
  EXPECT_THAT(with(0, {-2}, {1}), outside);
  EXPECT_THAT(with(0, {7}, {0}), AllOf(HasSubstr("'w'"), HasSubstr("an expanded tensor")));
  EXPECT_THAT(error_for(state_dict({text("w"), tensor(storage("0", 6), 0, {2, 3}, {1})})),
              HasSubstr("strides do not fit"));
}

TEST_F(TorchPickleTest, MissingStorageAndOddTypesAreNamed) {
  const auto with = [&](const std::string& of_storage) {
    return error_for(state_dict({text("w"), tensor(of_storage, 0, {1}, {1})}));
  };
  EXPECT_THAT(with(storage("9", 6)), AllOf(HasSubstr("'w'"), HasSubstr("lacks its storage '9'")));
  EXPECT_THAT(with(storage("0", 3, "ComplexFloatStorage")),
              HasSubstr("'torch.ComplexFloatStorage'"));
  EXPECT_THAT(error_for(state_dict({text("w"), tensor(storage("0", 6), 0, {1}, {1}), text("w"),
                                    tensor(storage("0", 6), 0, {1}, {1})})),
              HasSubstr("tensor 'w' occurs twice"));
}

TEST_F(TorchPickleTest, BrokenPicklesAreRefused) {
  EXPECT_THAT(error_for(""), HasSubstr("its pickle at byte 0 needs 1 bytes"));
  EXPECT_THAT(error_for("."), HasSubstr("stack is empty"));
  EXPECT_THAT(error_for(pickle("0")), HasSubstr("opcode 0x30"));
  EXPECT_THAT(error_for(pickle("t")), HasSubstr("a mark is missing"));
  EXPECT_THAT(error_for(pickle("h\1")), HasSubstr("has not made"));
  EXPECT_THAT(error_for(pickle("]" + number(1) + number(2) + "s")), HasSubstr("cannot hold"));
  EXPECT_THAT(error_for(pickle(number(1) + ")R")), HasSubstr("not a function"));
  EXPECT_THAT(error_for(pickle(number(1) + "Q")), HasSubstr("storage's description"));
  EXPECT_THAT(error_for(pickle("\x8a\x09")), HasSubstr("more than 64 bits"));
  // Nesting as deep as the pickle is long must not exhaust the call stack.
  EXPECT_THAT(error_for(pickle(")" + std::string(2'000'000, '\x85'))), HasSubstr("holds a tuple"));
}

TEST_F(TorchPickleTest, Zip64ArchivesAreRead) {
  const auto dict = state_dict({text("w"), tensor(storage("0", 6), 0, {6}, {1})});
  const auto path = folder_.file("large.bin", zip(records(dict), true));
  EXPECT_THAT(floats(open_torch_pickle(path)->read("w")), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(TorchPickleTest, OddArchivesAreRefused) {
  const auto dict = state_dict({text("w"), tensor(storage("0", 6), 0, {6}, {1})});
  const auto error_with = [&](const std::vector<Record>& changed) {
    const auto path = folder_.file("odd.bin", zip(changed));
    return input_error([&] { (void)open_torch_pickle(path); });
  };
  auto changed = records(dict);
  changed[2].method = 8;
  EXPECT_THAT(error_with(changed), AllOf(HasSubstr("'m/data/0'"), HasSubstr("compressed")));
  changed = records(dict);
  changed[1].data = "big";
  EXPECT_THAT(error_with(changed), HasSubstr("big-endian"));
  changed[1].name = "m/data/0";
  EXPECT_THAT(error_with(changed), HasSubstr("'m/data/0' occurs twice"));
  EXPECT_THAT(error_with({{"x/readme", "text"}}), HasSubstr("has no data.pkl"));
}

TEST_F(TorchPickleTest, OtherFormatsAreExplained) {
  const auto error_of_file = [&](std::string_view bytes) {
    const auto path = folder_.file("pytorch_model.bin", bytes);
    return input_error([&] { (void)open_torch_pickle(path); });
  };
  EXPECT_THAT(error_of_file("\x80\x02\x8a\x0alegacy"),
              AllOf(HasSubstr("before PyTorch 1.6"), HasSubstr("convert")));
  EXPECT_THAT(error_of_file(""), HasSubstr("(0 bytes) is not a zip archive"));
  EXPECT_THAT(error_of_file("version https://git-lfs"), HasSubstr("not a zip archive"));
}

TEST_F(TorchPickleTest, EveryCutAndManyFlippedBytesGiveASentence) {
  const std::string whole =
      read_all(write(state_dict({text("w"), tensor(storage("0", 6), 0, {2, 3}, {3, 1})})));
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    const auto path = folder_.file("cut.bin", std::string_view(whole).substr(0, size));
    EXPECT_THAT(input_error([&] { (void)open_torch_pickle(path); }), HasSubstr("cut.bin")) << size;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x5a);
    const auto path = folder_.file("damaged.bin", damaged);
    try {  // some bytes carry no meaning: padding, dates
      (void)open_torch_pickle(path)->read("w");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << at;
    }
  }
}

}  // namespace
}  // namespace sgpt_mi::containers
