#include "sgpt_mi/io/torch_pickle.h"

#include <caffe2/serialize/inline_container.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <vector>

#include "temporary_folder.h"

namespace sgpt_mi::io {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// --- pickles, opcode by opcode (protocol 2) -------------------------------------------------------

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

// --- files ----------------------------------------------------------------------------------------

/// Six floats 0..5 as storage "0".
class TorchPickleTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path write(const std::string& data_pkl, bool compress = false) const {
    const std::vector<float> values{0, 1, 2, 3, 4, 5};
    const std::filesystem::path path = folder_.path() / "pytorch_model.bin";
    caffe2::serialize::PyTorchStreamWriter zip(path.string());
    zip.writeRecord("data.pkl", data_pkl.data(), data_pkl.size());
    zip.writeRecord("data/0", values.data(), values.size() * sizeof(float), compress);
    zip.writeEndOfFile();
    return path;
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
  const auto source = open_torch_pickle(
      write(state_dict({text("whole"), tensor(shared, 0, {2, 3}, {3, 1}),        //
                        text("tail"), tensor(shared, 4, {2}, {1}),               //
                        text("transposed"), tensor(shared, 0, {3, 2}, {1, 3}),   //
                        text("repeated"), tensor(shared, 5, {2, 1}, {0, 1}),     //
                        text("scalar"), tensor(shared, 3, {}, {}),               //
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
  const auto source =
      open_torch_pickle(write(state_dict({text("w"), parameter}, metadata)));
  EXPECT_THAT(floats(source->read("w")), ElementsAre(1, 2));
}

TEST_F(TorchPickleTest, OtherClassesAreRefusedByName) {
  EXPECT_THAT(error_for(pickle(global("os", "system") + text("true") + "\x85R")),
              AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("'os.system'")));
  EXPECT_THAT(error_for(state_dict({text("w"), global("builtins", "eval") + text("1") + "\x85R"})),
              HasSubstr("'builtins.eval'"));
  EXPECT_THAT(error_for(state_dict({text("w"), global("numpy.core.multiarray", "_reconstruct") +
                                                   ")R"})),
              HasSubstr("'numpy.core.multiarray._reconstruct'"));
}

TEST_F(TorchPickleTest, OnlyADictionaryOfTensorsIsTaken) {
  EXPECT_THAT(error_for(pickle(number(3))), HasSubstr("a dictionary of tensors"));
  EXPECT_THAT(error_for(state_dict({text("epoch"), number(3)})),
              AllOf(HasSubstr("'epoch' is a Int"), HasSubstr("a tensor was expected")));
  EXPECT_THAT(error_for(state_dict({number(3), tensor(storage("0", 6), 0, {1}, {1})})),
              HasSubstr("key that is not text"));
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
  EXPECT_THAT(with(-1, {2}, {1}), HasSubstr("pytorch_model.bin"));
  EXPECT_THAT(with(3, {2}, {-1}), HasSubstr("pytorch_model.bin"));
  EXPECT_THAT(with(0, {-2}, {1}), HasSubstr("pytorch_model.bin"));
}

TEST_F(TorchPickleTest, MissingStorageAndOddTypesAreNamed) {
  EXPECT_THAT(error_for(state_dict({text("w"), tensor(storage("9", 6), 0, {1}, {1})})),
              HasSubstr("lacks the storage '9'"));
  EXPECT_THAT(error_for(state_dict(
                  {text("w"), tensor(storage("0", 3, "ComplexFloatStorage"), 0, {1}, {1})})),
              AllOf(HasSubstr("'w'"), HasSubstr("dtype that is not read")));
}

TEST_F(TorchPickleTest, CompressedStoragesAreRefused) {
  const auto path = write(state_dict({text("w"), tensor(storage("0", 6), 0, {6}, {1})}), true);
  EXPECT_THAT(input_error([&] { (void)open_torch_pickle(path); }), HasSubstr("is compressed"));
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
}  // namespace sgpt_mi::io
