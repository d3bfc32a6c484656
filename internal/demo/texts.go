package demo

// topic is what a customer may ask about, and what an advisor says to it.
type topic struct{ questions, answers []string }

// topics is what is talked about in a shop for clothes and things for the home.
func topics() []topic {
	return []topic{
		{
			[]string{"这件羊毛大衣还有 M 码吗？", "我 165，98 斤，穿什么码合适？", "这条阔腿裤偏大还是偏小？"},
			[]string{"M 码还有两件，帮您留一件好吗？", "您这个身材穿 S 码正合身。", "这款是正常版型，平时穿什么码就选什么码。"},
		},
		{
			[]string{"奶白色的针织衫什么时候补货？", "橱窗里那条墨绿色连衣裙有货吗？", "新到的帆布包还有米色的吗？"},
			[]string{"下周三到货，到了我第一时间告诉您。", "有的，门店和网上都有现货。", "米色刚卖完，燕麦色还有，颜色很接近。"},
		},
		{
			[]string{"香薰蜡烛买两个有优惠吗？", "会员日打几折呀？", "这个四件套会降价吗？"},
			[]string{"两件九折，会员再减十元。", "会员日全场八八折，这周六开始。", "这个价格会保持到月底，现在下单很合适。"},
		},
		{
			[]string{"今天下单哪天能到？", "能帮我查一下快递到哪儿了吗？", "可以送到公司前台吗？"},
			[]string{"下午四点前下单，后天就能送到。", "已经到您所在城市了，明天派送。", "可以的，收货地址写前台就行。"},
		},
		{
			[]string{"毛衣可以机洗吗？", "真丝枕套怎么洗比较好？", "这个木碗能进洗碗机吗？"},
			[]string{"建议装进洗衣袋，冷水轻柔模式，平铺晾干。", "用中性洗涤剂冷水手洗，不要拧干。", "木碗手洗就好，用完擦干能用很多年。"},
		},
		{
			[]string{"尺码不合适可以换吗？", "拆了吊牌还能退吗？", "杯子收到有一道裂纹，怎么办？"},
			[]string{"七天之内随时可以换，运费我们出。", "不影响再次销售就可以退，您放心。", "实在抱歉，拍张照片给我，马上给您补发一个。"},
		},
		{
			[]string{"想给妈妈买条围巾，有推荐吗？", "朋友搬新家，送什么好？", "送男朋友的生日礼物，三百左右。"},
			[]string{"这款羊绒围巾很柔软，姜黄色特别显气色。", "手工陶瓷花瓶很受欢迎，可以免费包装。", "皮质卡包不错，还能刻名字。"},
		},
		{
			[]string{"你们周末几点关门？", "店里可以停车吗？", "国贸那家店还在吗？"},
			[]string{"周末营业到晚上十点。", "地下二层，消费后停车两小时免费。", "在的，搬到了三楼电梯旁边。"},
		},
	}
}

func greetings() []string {
	return []string{"你好～", "在吗？", "您好，想咨询一下", "早上好呀", "打扰一下"}
}

func thanks() []string {
	return []string{"好的，谢谢！", "太好了，那我下单了", "明白了，周末去店里看看", "谢谢你，很耐心", "好，麻烦帮我留一下"}
}

// advisorNickname is what customers see of an advisor, counted from 1. All are of one length, so
// that lines stand in columns.
func advisorNickname(n int) string {
	return []string{"林晓雯", "陈思远", "王佳怡", "赵一鸣", "周雨桐"}[n-1]
}

// groupTitle is a group's name, counted from 1.
func groupTitle(n int) string { return []string{"服饰组", "家居组"}[n-1] }

// shopName is the account's.
const shopName = "小满生活馆"
