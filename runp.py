import torch,time,sys,cProfile,pstats
torch.set_num_threads(1)
from medzoo.serving.models import load_models
m=next(iter(load_models(["advanced_cnn.dermamnist"]).values()))
n=int(sys.argv[1]); x=torch.randint(0,256,(n,*m.spec.input.shape),dtype=torch.uint8)
print('ood',m.model.ood_detector is not None,'conformal',m.spec.conformal is not None, 'selective', m.spec.selective is not None)
from medzoo.transforms import prepare_batch
from medzoo.inference.ood_scores import Recorder
b=prepare_batch(x,m.spec.input)
def t(name,f,k=40):
    R=[]
    for _ in range(k):
        a=time.thread_time(); f(); R.append((time.thread_time()-a)*1e3)
    R.sort(); print(f'{name:20} min {R[0]:.2f} q25 {R[k//4]:.2f}')
with torch.inference_mode():
    t('forward',lambda:m.model(b)); t('run',lambda:m.run(x)); t('prepare',lambda:prepare_batch(x,m.spec.input))
    r=Recorder(m.model)
    t('recorder',lambda:(r.features.clear(),r(b)))
    if m.model.ood_detector is not None:
        t('score',lambda:r.scores(1))
pr=cProfile.Profile(); pr.enable()
for _ in range(20): m.run(x)
pr.disable(); pstats.Stats(pr).sort_stats('cumtime').print_stats(40)
